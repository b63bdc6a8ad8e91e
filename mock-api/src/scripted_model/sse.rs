//! A reply in the two shapes of the Messages API: one JSON object, or the events of a stream. Order and fields follow
//! <https://docs.claude.com/en/docs/build-with-claude/streaming>. The token counts in `message_start` follow the
//! recorded transcripts (one output token there, the full count in `message_delta`).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::{StreamExt as _, unfold};
use serde_json::{Value, json};

use super::answer::{Block, Reply};

/// The complete answer to a request without `stream`.
pub(super) fn message(reply: &Reply, id: &str, model: &str) -> Value {
    let content: Vec<Value> = reply
        .blocks
        .iter()
        .map(|block| match block {
            Block::Thinking(pieces) => {
                json!({ "type": "thinking", "thinking": pieces.concat(), "signature": SIGNATURE })
            }
            Block::Text(pieces) => json!({ "type": "text", "text": pieces.concat() }),
            Block::ToolUse { id, name, input } => json!({ "type": "tool_use", "id": id, "name": name, "input": input }),
        })
        .collect();
    envelope(reply, id, model, &json!(content), &json!(reply.stop_reason()), reply.usage.output)
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) event: Value,
    is_delta: bool,
}

/// All events of a streamed reply in order, before any cut.
pub(super) fn frames(reply: &Reply, id: &str, model: &str) -> Vec<Frame> {
    let start = json!({ "type": "message_start", "message": envelope(reply, id, model, &json!([]), &Value::Null, 1) });
    let mut frames = vec![Frame::mark(start)];
    for (index, block) in reply.blocks.iter().enumerate() {
        let (empty, deltas) = match block {
            Block::Thinking(pieces) => (json!({ "type": "thinking", "thinking": "" }), thinking_deltas(pieces)),
            Block::Text(pieces) => (json!({ "type": "text", "text": "" }), text_deltas(pieces)),
            Block::ToolUse { id, name, input } => (
                json!({ "type": "tool_use", "id": id, "name": name, "input": {} }),
                vec![json!({ "type": "input_json_delta", "partial_json": input.to_string() })],
            ),
        };
        frames.push(Frame::mark(json!({ "type": "content_block_start", "index": index, "content_block": empty })));
        if index == 0 {
            frames.push(Frame::mark(json!({ "type": "ping" })));
        }
        frames.extend(deltas.into_iter().map(|delta| Frame {
            event: json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            is_delta: true,
        }));
        frames.push(Frame::mark(json!({ "type": "content_block_stop", "index": index })));
    }
    frames.push(Frame::mark(json!({
        "type": "message_delta",
        "delta": { "stop_reason": reply.stop_reason(), "stop_sequence": null },
        "usage": stating(reply, json!({ "output_tokens": reply.usage.output })),
    })));
    frames.push(Frame::mark(json!({ "type": "message_stop" })));
    frames
}

/// Sends `frames` one by one, with `delta_delay` before each delta except the first. After `cut_after` deltas it ends
/// with an error, and the server closes the connection without ending the body.
pub(super) fn body(
    frames: Vec<Frame>,
    delta_delay: Duration,
    cut_after: Option<usize>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let frames = frames.into_iter();
    unfold((frames, 0_usize, false), move |(mut frames, mut deltas, cut)| async move {
        // Let the connection write its data first, so that every event is sent separately.
        tokio::task::yield_now().await;
        if cut {
            return None;
        }
        if cut_after == Some(deltas) {
            return Some((Err(io::ErrorKind::ConnectionReset.into()), (frames, deltas, true)));
        }
        let frame = frames.next()?;
        if frame.is_delta {
            if deltas > 0 && !delta_delay.is_zero() {
                tokio::time::sleep(delta_delay).await;
            }
            deltas += 1;
        }
        Some((Ok(frame.bytes()), (frames, deltas, false)))
    })
    .fuse()
}

/// Replaces the vendor's signature of a thinking block, which clients return unchanged.
const SIGNATURE: &str = "c2ln";

impl Frame {
    fn mark(event: Value) -> Self {
        Self { event, is_delta: false }
    }

    fn bytes(&self) -> Bytes {
        let name = self.event["type"].as_str().unwrap_or_default();
        Bytes::from(format!("event: {name}\ndata: {}\n\n", self.event))
    }
}

fn text_deltas(pieces: &[String]) -> Vec<Value> {
    pieces.iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect()
}

fn thinking_deltas(pieces: &[String]) -> Vec<Value> {
    let mut deltas: Vec<Value> =
        pieces.iter().map(|piece| json!({ "type": "thinking_delta", "thinking": piece })).collect();
    deltas.push(json!({ "type": "signature_delta", "signature": SIGNATURE }));
    deltas
}

fn envelope(reply: &Reply, id: &str, model: &str, content: &Value, stop_reason: &Value, output_tokens: u64) -> Value {
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": stating(reply, json!({
            "input_tokens": reply.usage.input,
            "output_tokens": output_tokens,
            "cache_creation_input_tokens": reply.usage.cache_write,
            "cache_read_input_tokens": reply.usage.cache_read,
        })),
    })
}

/// Adds the further fields of the reply's usage.
fn stating(reply: &Reply, mut usage: Value) -> Value {
    for (field, value) in &reply.stated {
        usage[field] = value.clone();
    }
    usage
}
