use super::*;

/// Feeds `input` in chunks of `size` and joins the pieces.
fn split(input: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut lines = Lines::default();
    let mut buffer = BytesMut::new();
    let mut joined = vec![Vec::new()];
    let mut take = |frame: UpFrame| {
        let UpFrame::Stdout { piece, ends_line } = frame else { panic!("not stdout: {frame:?}") };
        assert!(piece.len() <= MAX_PIECE);
        joined.last_mut().unwrap().extend_from_slice(&piece);
        if ends_line {
            joined.push(Vec::new());
        }
    };
    for chunk in input.chunks(size) {
        buffer.extend_from_slice(chunk);
        while let Some(frame) = lines.next(&mut buffer) {
            take(frame);
        }
    }
    if let Some(frame) = lines.last(buffer) {
        take(frame);
    }
    assert_eq!(joined.pop(), Some(Vec::new()), "the last line is ended");
    joined
}

#[test]
fn lines_are_cut_however_they_come() {
    for size in [1, 2, 3, 100] {
        assert_eq!(split(b"one\n\ntwo\nlast", size), [&b"one"[..], b"", b"two", b"last"]);
        assert_eq!(split(b"one\n", size), [b"one"]);
        assert!(split(b"", size).is_empty());
    }
}

#[test]
fn long_lines_come_in_pieces() {
    for length in [MAX_PIECE - 1, MAX_PIECE, MAX_PIECE + 1, 3 * MAX_PIECE] {
        for size in [65_536, 1_000_000] {
            let mut input = vec![b'x'; length];
            input.extend_from_slice(b"\nshort\n");
            assert_eq!(split(&input, size), [vec![b'x'; length], b"short".to_vec()]);
            // The same line without its final newline.
            assert_eq!(split(&input[..length], size), [vec![b'x'; length]]);
        }
    }
}
