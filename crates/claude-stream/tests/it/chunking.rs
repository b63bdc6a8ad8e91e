//! Chunking does not change the sequence of events. The sequence equals that of the lines decoded one by one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{decoded, transcripts};

/// Shorter than some lines of the transcripts, so that lines over the limit always occur.
const LIMIT: usize = 2000;

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<Vec<u8>> = transcripts::all()
        .iter()
        .flat_map(|(_, stdout)| stdout.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    let long = (LIMIT - 2..LIMIT + 3).prop_map(|length| vec![b'7'; length]);
    prop_oneof![
        8 => select(lines),
        1 => vec(any::<u8>(), 0..60),
        1 => long,
        1 => Just(br#"{"type":"system","subtype":"status","status":"\ud83d"}"#.to_vec()),
        1 => Just("\"é\u{1F600}\"".as_bytes().to_vec()),
        1 => Just(b"\"\xF0\x9F\x98\"".to_vec()),
    ]
}

fn line_end() -> impl Strategy<Value = &'static [u8]> {
    select(vec![b"\n".as_slice(), b"\n", b"\n", b"\r\n", b"\n\n", b"\r\r\n", b" \n", b""])
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    vec((piece(), line_end()), 0..20)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, end)| [&piece, end].concat()).collect())
}

fn cut<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    ends.push(input.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| &input[start..end]).collect()
}

proptest! {
    #[test]
    fn cutting_changes_nothing(input in input(), cuts in vec(any::<Index>(), 0..40)) {
        let whole = decoded(LIMIT, [input.as_slice()]);
        prop_assert_eq!(decoded(LIMIT, cut(&input, &cuts)), whole.clone());
        prop_assert_eq!(decoded(LIMIT, input.chunks(1)), whole);
    }

    #[test]
    fn no_line_changes_another(input in input()) {
        let one_by_one: Vec<String> =
            input.split(|&byte| byte == b'\n').flat_map(|line| decoded(LIMIT, [line])).collect();
        prop_assert_eq!(decoded(LIMIT, [input.as_slice()]), one_by_one);
    }

    #[test]
    fn a_line_gives_one_item_unless_blank(input in input()) {
        let lines = input.split(|&byte| byte == b'\n');
        let filled = lines.filter(|line| line.len() > LIMIT || !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(decoded(LIMIT, [input.as_slice()]).len(), filled);
    }
}
