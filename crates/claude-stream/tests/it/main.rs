//! Tests of the codec's public interface: recorded transcripts, chunked bytes, bad lines, and encoded input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chunking;
mod odd_lines;
mod outgoing;
mod recorded;
mod tool_results;
mod transcripts;
mod turn_result;

use claude_stream::Decoder;

/// Longer than every line of the transcripts.
const LIMIT: usize = 64 * 1024;

/// Decodes the chunks to one line of text per item: the length of the raw line and the event, or the error.
fn decoded<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut items = Vec::new();
    let mut decoder = Decoder::new(limit);
    for chunk in chunks {
        decoder.feed(chunk, |item| items.push(described(item)));
    }
    decoder.finish(|item| items.push(described(item)));
    items
}

fn described(item: Result<claude_stream::AgentLine<'_>, claude_stream::LineError>) -> String {
    match item {
        Ok(line) => format!("{} {:?}", line.raw.len(), line.event),
        Err(error) => format!("{error:?}"),
    }
}

/// The `Debug` text of the event of one line.
fn event(line: &str) -> String {
    let mut items = decoded(LIMIT, [line.as_bytes()]);
    assert_eq!(items.len(), 1, "one line, one item: {items:?}");
    let item = items.remove(0);
    match item.split_once(' ') {
        Some((length, event)) if length == line.len().to_string() => event.to_owned(),
        _ => item,
    }
}
