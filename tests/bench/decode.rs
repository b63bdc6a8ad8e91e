//! The decoder on recorded transcripts, against `serde_json::Value` for each line.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use claude_stream::Decoder;

use crate::Effort;
use crate::report::{Bar, Row, Samples};

/// The longest line that the coordinator accepts.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// The largest payload of a frame.
const PIECE: usize = 64 * 1024;

pub(crate) async fn decode(effort: Effort) -> Vec<Row> {
    let transcripts = transcripts();
    let (mut ours, mut reference) = (Samples::default(), Samples::default());
    let passes = effort.of(1, 200);
    for _ in 0..effort.of(3, 30) {
        ours.push(rate(&transcripts, passes, |bytes| {
            let mut decoder = Decoder::new(MAX_LINE_BYTES);
            let mut lines = 0_usize;
            for piece in bytes.chunks(PIECE) {
                decoder.feed(piece, |line| {
                    black_box(&line);
                    lines += 1;
                });
            }
            lines
        }));
        reference.push(rate(&transcripts, passes, |bytes| {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.filter(|line| black_box(serde_json::from_slice::<serde_json::Value>(line)).is_ok()).count()
        }));
        tokio::task::yield_now().await;
    }
    vec![
        Row::new("decode recorded transcripts, one core", "MB/s", ours)
            .against("serde_json::Value for each line", reference)
            .bar(Bar::Least(300.0)),
    ]
}

/// Returns all recorded transcripts, joined.
fn transcripts() -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../claude-stream/tests/transcripts");
    let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let recorded = paths.iter().filter(|path| {
        let name = path.to_str().unwrap();
        name.ends_with(".ndjson") && !name.ends_with(".stdin.ndjson")
    });
    recorded.flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn rate(bytes: &[u8], passes: usize, mut decode: impl FnMut(&[u8]) -> usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..passes {
        assert!(black_box(decode(bytes)) > 0);
    }
    (bytes.len() * passes) as f64 / 1e6 / begin.elapsed().as_secs_f64()
}
