//! The codec as its users see it: recorded transcripts, cut bytes, bad lines, and what is sent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chunking;
mod odd_lines;
mod outgoing;
mod recorded;
mod tool_results;
mod transcripts;
mod turn_result;

use claude_stream::Decoder;

/// More than any line of the transcripts.
const LIMIT: usize = 64 * 1024;

/// What a decoder says to these chunks, one line of text per item: the raw line's length and the event, or the error.
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

/// The event of one line, as `Debug` writes it.
fn event(line: &str) -> String {
    let mut items = decoded(LIMIT, [line.as_bytes()]);
    assert_eq!(items.len(), 1, "one line, one item: {items:?}");
    let item = items.remove(0);
    match item.split_once(' ') {
        Some((length, event)) if length == line.len().to_string() => event.to_owned(),
        _ => item,
    }
}
