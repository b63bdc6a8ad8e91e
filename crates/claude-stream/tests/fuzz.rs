//! Fuzzes the decoder with damaged recordings and noise for FUZZ_SECONDS (default 1). For any input and any chunking
//! the decoder does not panic, gives the same items, gives one item per line, and keeps no more than its limit.
//! `scripts/fuzz` runs it for longer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use claude_stream::Decoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Number of cases between two checks of the clock.
const CASES: u32 = 64;

/// Characters that are significant to a JSON parser or to the splitting into lines.
const TELLING: &[u8] = b"{}[]\",:\\\n\r \t0-eEu\x00\x7f\x80\xc3\xe2\xed\xf0\xff";

/// Words of the protocol, and values that often break parsers.
const WORDS: [&str; 24] = [
    "\"type\":",
    "\"result\"",
    "\"user\"",
    "\"assistant\"",
    "\"stream_event\"",
    "\"system\"",
    "\"control_request\"",
    "\"subtype\":",
    "\"isReplay\":true",
    "\"uuid\":null",
    "\"content\":[",
    "\"input\":{}",
    "null",
    "1e999",
    "-0",
    "18446744073709551616",
    "\\ud83d",
    "\\ud83d\\ude00",
    "\\u0000",
    "\u{2028}",
    "\r\n",
    "\n\n",
    "}{",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// One way to damage an input.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// Inserts a copy of a piece of the input at another place.
    Copy(Index, usize, Index),
    /// Repeats one byte: deep nesting, long numbers, long lines.
    Repeat(Index, u8, usize),
}

#[derive(Clone, Debug)]
struct Case {
    input: Vec<u8>,
    cuts: Vec<Index>,
    limit: usize,
}

#[test]
fn the_decoder_takes_anything() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let cases = case();
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        // Each run needs a new runner, because a runner counts its successes over all runs.
        if let Err(failure) = TestRunner::new(config.clone()).run(&cases, |case| check(&case)) {
            panic!("{failure}");
        }
        runs += CASES;
    }
    println!("{runs} inputs");
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let Case { input, limit, .. } = case;
    let whole = decoded(*limit, std::iter::once(input.as_slice()))?;
    prop_assert_eq!(&decoded(*limit, cut(input, &case.cuts).into_iter())?, &whole, "cut another way");
    prop_assert_eq!(&decoded(*limit, input.chunks(1))?, &whole, "byte by byte");
    let filled = input.split(|&byte| byte == b'\n').filter(|line| line.len() > *limit || !is_blank(line)).count();
    prop_assert_eq!(whole.len(), filled, "items a line");
    Ok(())
}

/// Decodes the chunks to one text per item, and checks the properties that hold for each item.
fn decoded<'a>(limit: usize, chunks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, TestCaseError> {
    let mut decoder = Decoder::new(limit);
    let mut items = Vec::new();
    let mut longest = 0;
    let mut keep = |item: Result<claude_stream::AgentLine<'_>, claude_stream::LineError>| {
        if let Ok(line) = &item {
            longest = longest.max(line.raw.len());
        }
        items.push(format!("{:?}", item.map(|line| (line.raw.len(), format!("{:?}", line.event)))));
    };
    for chunk in chunks {
        decoder.feed(chunk, &mut keep);
    }
    decoder.finish(&mut keep);
    // The raw line is what the decoder had to buffer.
    prop_assert!(longest <= limit, "a line of {} bytes came through a limit of {}", longest, limit);
    Ok(items)
}

fn is_blank(line: &[u8]) -> bool {
    line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start().is_empty()
}

fn case() -> impl Strategy<Value = Case> {
    let input = (vec(line(), 0..8), vec(damage(), 0..8)).prop_map(|(lines, damages)| {
        damages.iter().fold(lines.concat(), |mut input, damage| {
            damage.apply(&mut input);
            input
        })
    });
    let limit = prop_oneof![3 => Just(64 * 1024), 1 => 0..200_usize];
    (input, vec(any::<Index>(), 0..20), limit).prop_map(|(input, cuts, limit)| Case { input, cuts, limit })
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(prop_oneof![select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()), noise(4)], 0..12);
    prop_oneof![
        8 => select(recorded_lines()),
        2 => words.prop_map(|words| words.concat()),
        1 => noise(80),
    ]
    .prop_flat_map(|line| (Just(line), select(vec!["\n", "\n", "\n", "\r\n", "\n\n", " \n", ""])))
    .prop_map(|(line, end)| [line, end.into()].concat())
}

fn noise(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![any::<u8>(), select(TELLING)], 0..most)
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let byte = || prop_oneof![any::<u8>(), select(TELLING)];
    let inserted = prop_oneof![select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()), noise(6)];
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (at(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (at(), inserted).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), 1..200_usize, at()).prop_map(|(from, length, to)| Damage::Copy(from, length, to)),
        (at(), select(TELLING), 1..400_usize).prop_map(|(at, byte, times)| Damage::Repeat(at, byte, times)),
    ]
}

impl Damage {
    fn apply(&self, input: &mut Vec<u8>) {
        let place = |index: &Index| index.index(input.len() + 1);
        match self {
            Damage::Flip(at, bits) => {
                let at = place(at);
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
            }
            Damage::Replace(at, new) => {
                let at = place(at);
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte = *new);
            }
            Damage::Insert(at, bytes) => insert(input, place(at), bytes.clone()),
            Damage::Remove(at, length) => {
                let (start, end) = (place(at), input.len().min(place(at) + length));
                input.drain(start..end);
            }
            Damage::Copy(from, length, to) => {
                let (start, end, to) = (place(from), input.len().min(place(from) + length), place(to));
                insert(input, to, input[start..end].to_vec());
            }
            Damage::Repeat(at, byte, times) => insert(input, place(at), vec![*byte; *times]),
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: Vec<u8>) {
    input.splice(at..at, bytes);
}

fn cut<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    ends.push(input.len());
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| &input[start..end]).collect()
}

/// Every line of every recording, in both directions.
fn recorded_lines() -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let mut lines: Vec<Vec<u8>> =
        files.flat_map(|file| file.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
    lines.sort();
    lines.dedup();
    assert!(lines.len() > 100, "only {} recorded lines", lines.len());
    lines
}
