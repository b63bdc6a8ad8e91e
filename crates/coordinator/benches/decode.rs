//! The decoder on each recorded transcript, and `serde_json::Value` for each of its lines. `cargo bench --bench decode`.
#![expect(clippy::unwrap_used, reason = "a benchmark panics if it cannot measure")]

use std::path::Path;

use claude_stream::Decoder;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

/// The longest line that the coordinator accepts.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Each transcript shows another kind of event.
const TRANSCRIPTS: [&str; 5] = ["text_in_deltas", "thinking", "tool_bash", "structured_output", "subagent"];

fn main() {
    divan::main();
}

#[divan::bench(args = TRANSCRIPTS)]
fn decoder(bencher: Bencher<'_, '_>, transcript: &str) {
    let bytes = recorded(transcript);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut decoder = Decoder::new(MAX_LINE_BYTES);
        decoder.feed(black_box(&bytes), |line| drop(black_box(line)));
    });
}

/// Decodes pieces that end anywhere, as a link delivers them.
#[divan::bench(args = TRANSCRIPTS)]
fn decoder_in_pieces(bencher: Bencher<'_, '_>, transcript: &str) {
    let bytes = recorded(transcript);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let mut decoder = Decoder::new(MAX_LINE_BYTES);
        for piece in black_box(&bytes).chunks(100) {
            decoder.feed(piece, |line| drop(black_box(line)));
        }
    });
}

#[divan::bench(args = TRANSCRIPTS)]
fn value(bencher: Bencher<'_, '_>, transcript: &str) {
    let bytes = recorded(transcript);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        for line in black_box(&bytes).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            black_box(serde_json::from_slice::<serde_json::Value>(line).unwrap());
        }
    });
}

fn recorded(transcript: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../claude-stream/tests/transcripts");
    std::fs::read(directory.join(format!("{transcript}.ndjson"))).unwrap()
}
