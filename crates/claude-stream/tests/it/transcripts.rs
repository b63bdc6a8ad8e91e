//! The recordings: the stdout of the CLI (2.1.332) and the stdin of the same run.

use std::fs;
use std::path::Path;

/// Every `NAME.ndjson` with its name and bytes.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    let mut transcripts = Vec::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let (name, kind) = path.file_name().unwrap().to_str().unwrap().split_once('.').unwrap();
        if kind == "ndjson" {
            transcripts.push((name.to_owned(), fs::read(&path).unwrap()));
        }
    }
    transcripts.sort();
    assert!(!transcripts.is_empty());
    transcripts
}

/// The lines of `NAME.stdin.ndjson`.
pub(crate) fn sent(name: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(directory().join(format!("{name}.stdin.ndjson"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts"))
}
