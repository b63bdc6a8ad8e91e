//! Compares each transcript with its committed sequence of events.

use crate::{LIMIT, decoded, transcripts};

#[test]
fn events() {
    for (name, stdout) in transcripts::all() {
        let events: String = decoded(LIMIT, [stdout.as_slice()]).iter().map(|event| short(event) + "\n").collect();
        insta::assert_snapshot!(name.as_str(), events);
    }
}

#[test]
fn the_same_byte_by_byte() {
    for (name, stdout) in transcripts::all() {
        assert_eq!(decoded(LIMIT, stdout.chunks(1)), decoded(LIMIT, [stdout.as_slice()]), "{name}");
    }
}

#[test]
fn raw_lines_are_the_input() {
    for (name, stdout) in transcripts::all() {
        let mut lines = Vec::new();
        claude_stream::Decoder::new(LIMIT)
            .feed(&stdout, |line| lines.extend([line.unwrap().raw, "\n"].map(String::from)));
        assert_eq!(lines.concat().into_bytes(), stdout, "{name}");
    }
}

/// Truncates an event. The answer to `initialize` lists every command of the CLI and would fill the snapshot.
fn short(event: &str) -> String {
    const CHARS: usize = 1000;
    match event.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &event[..end], event.len()),
        None => event.to_owned(),
    }
}
