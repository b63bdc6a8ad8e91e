//! Holds back the ends of a streamed message's blocks until the message is complete, then sends them together.
//!
//! Claude Code repeats a request whose answer was cut off before its first block ended. After a later cut, 2.1.332 has the model go
//! on behind the complete blocks, and its result is the last part alone. So without this buffer, killing the coordinator between
//! the end of the first block and the end of the message would lose a part of the answer. The deltas pass at once, because the CLI
//! identifies blocks by index.

use claude_stream::STRUCTURED_OUTPUT;
use serde::Deserialize;

/// Rewrites server-sent events from pieces of any size.
#[derive(Debug, Default)]
pub(super) struct BlockStopBuffer {
    /// The beginning of an event whose end has not come.
    unfinished: Vec<u8>,
    /// Whole events that wait for the message's end.
    held: Vec<u8>,
    /// The stream has an unknown format, so all of it passes unchanged.
    gave_up: bool,
    complete: bool,
    tool_calls: u32,
}

/// The relevant fields of a block's start.
#[derive(Deserialize)]
struct BlockStart {
    content_block: Block,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
}

impl BlockStopBuffer {
    /// The longest events are under 1 MB; ends of blocks have 60 bytes.
    const MAX_BYTES: usize = 4 << 20;

    /// Processes the next piece and returns the bytes to send.
    pub(super) fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.gave_up {
            return piece.to_vec();
        }
        self.unfinished.extend_from_slice(piece);
        let mut passed = Vec::with_capacity(piece.len());
        let mut begin = 0;
        while let Some(length) = event_length(&self.unfinished[begin..]) {
            let event = &self.unfinished[begin..begin + length];
            begin += length;
            match kind(event) {
                b"content_block_stop" | b"message_delta" => self.held.extend_from_slice(event),
                b"content_block_start" => {
                    self.tool_calls += u32::from(is_tool_call(event));
                    passed.extend_from_slice(event);
                }
                b"message_start" | b"content_block_delta" | b"ping" => {
                    passed.extend_from_slice(event);
                }
                other => {
                    self.complete |= other == b"message_stop";
                    passed.append(&mut self.held);
                    passed.extend_from_slice(event);
                }
            }
        }
        self.unfinished.drain(..begin);
        if self.unfinished.len() + self.held.len() > Self::MAX_BYTES {
            self.gave_up = true;
            passed.append(&mut self.finish());
        }
        passed
    }

    /// Returns true if the message has ended, so that nothing follows it.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The number of tool calls in the part of the message that has arrived.
    pub(super) fn tool_calls(&self) -> u32 {
        self.tool_calls
    }

    /// Returns the rest after the stream has ended properly. After a cut the rest is useless.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut left = std::mem::take(&mut self.held);
        left.append(&mut self.unfinished);
        left
    }
}

/// Returns the length of the first event with the blank line that ends it.
fn event_length(bytes: &[u8]) -> Option<usize> {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.find_map(|end| {
        let rest = &bytes[end..];
        let blank = if rest.starts_with(b"\n") { 1 } else { 2 * usize::from(rest.starts_with(b"\r\n")) };
        (blank > 0).then_some(end + blank)
    })
}

/// Returns true if a block calls a tool that the session's worker sees. A structured answer is not such a call.
fn is_tool_call(event: &[u8]) -> bool {
    let data = event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:")).unwrap_or_default();
    let start = serde_json::from_slice::<BlockStart>(data);
    start.is_ok_and(|start| start.content_block.kind == "tool_use" && start.content_block.name != STRUCTURED_OUTPUT)
}

/// The event's name, from its `event:` line.
fn kind(event: &[u8]) -> &[u8] {
    let line = event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"event:"));
    line.unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::BlockStopBuffer;

    const START: &str = "event: message_start\ndata: {}\n\n";
    const DELTA: &str = "event: content_block_delta\ndata: {\"index\":0}\n\n";
    const STOP: &str = "event: content_block_stop\ndata: {\"index\":0}\n\n";
    const NEXT: &str = "event: content_block_start\ndata: {\"index\":1}\n\n";
    const USAGE: &str = "event: message_delta\ndata: {}\n\n";
    const END: &str = "event: message_stop\ndata: {}\n\n";

    fn pass(ends: &mut BlockStopBuffer, piece: &str) -> String {
        String::from_utf8(ends.pass(piece.as_bytes())).unwrap()
    }

    #[test]
    fn ends_wait_for_the_end_of_the_message() {
        let mut ends = BlockStopBuffer::default();
        assert_eq!(pass(&mut ends, &format!("{START}{DELTA}{STOP}")), format!("{START}{DELTA}"));
        assert_eq!(pass(&mut ends, NEXT), NEXT);
        assert_eq!(pass(&mut ends, &format!("{STOP}{USAGE}")), "");
        assert_eq!(pass(&mut ends, END), format!("{STOP}{STOP}{USAGE}{END}"));
        assert_eq!(ends.finish(), b"");
    }

    #[test]
    fn pieces_of_any_size_come_to_the_same() {
        let stream = format!("{START}{DELTA}{STOP}{NEXT}{DELTA}{STOP}{USAGE}{END}").replace('\n', "\r\n");
        let whole = BlockStopBuffer::default().pass(stream.as_bytes());
        let mut ends = BlockStopBuffer::default();
        let bytes: Vec<u8> = stream.bytes().flat_map(|byte| ends.pass(&[byte])).collect();
        assert_eq!(bytes, whole);
        assert_eq!(bytes.len(), stream.len());
    }

    #[test]
    fn tool_calls_are_counted_and_a_structured_answer_is_none() {
        let block =
            |block: &str| format!("event: content_block_start\ndata: {{\"index\":0,\"content_block\":{block}}}\n\n");
        let mut ends = BlockStopBuffer::default();
        for content in [
            r#"{"type":"tool_use","id":"a","name":"Bash","input":{}}"#,
            r#"{"type":"tool_use","id":"b","name":"StructuredOutput","input":{}}"#,
            r#"{"type":"text","text":"{\"type\":\"tool_use\"}"}"#,
            r#"{"type":"tool_use","id":"c","name":"Read","input":{}}"#,
        ] {
            pass(&mut ends, &block(content));
        }
        assert_eq!(ends.tool_calls(), 2);
    }

    #[test]
    fn what_is_no_such_stream_passes() {
        let mut ends = BlockStopBuffer::default();
        assert_eq!(pass(&mut ends, &format!("{DELTA}{STOP}")), DELTA);
        let error = "event: error\ndata: {}\n\n";
        assert_eq!(pass(&mut ends, error), format!("{STOP}{error}"));
        assert_eq!(pass(&mut ends, "half"), "");
        assert_eq!(ends.finish(), b"half");
        let endless = "x".repeat(BlockStopBuffer::MAX_BYTES + 1);
        assert_eq!(pass(&mut ends, &endless), endless);
        assert_eq!(pass(&mut ends, "more"), "more");
    }
}
