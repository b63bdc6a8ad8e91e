//! `stream_event`: a wrapped event of the Messages API's stream. This is the hot path: one pass, no copies.
//!
//! `{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"…"}},
//! "session_id":"…","parent_tool_use_id":null,"uuid":"…"}`. A `message_stop` can have
//! `"abandoned_blocks":{"api_message_id":"…","from_block_index":0}` beside its event.

use std::borrow::Cow;

use serde::Deserialize;

use crate::event::{AgentEvent, BlockStart};
use crate::text::{Text, plain};

pub(super) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    let Line { event, parent_tool_use_id, abandoned_blocks } = serde_json::from_str(line).ok()?;
    let parent = plain(parent_tool_use_id);
    let kind = event.kind.0;
    Some(match kind.as_ref() {
        "content_block_delta" => delta(parent, event.index?, event.delta?)?,
        "content_block_start" => {
            AgentEvent::BlockStart { parent, index: event.index?, block: block_start(event.content_block?)? }
        }
        "content_block_stop" => AgentEvent::BlockStop { parent, index: event.index? },
        "message_start" => {
            let message = event.message?;
            AgentEvent::MessageStart { parent, message_id: message.id.0, model: message.model.0 }
        }
        "message_delta" => AgentEvent::MessageDelta { parent, stop_reason: plain(event.delta?.stop_reason) },
        "message_stop" => {
            AgentEvent::MessageStop { parent, abandoned_from: abandoned_blocks.map(|blocks| blocks.from_block_index) }
        }
        _ => AgentEvent::Unknown { kind: format!("stream_event/{kind}").into() },
    })
}

fn delta<'a>(parent: Option<Cow<'a, str>>, index: u32, delta: Delta<'a>) -> Option<AgentEvent<'a>> {
    let kind = delta.kind?.0;
    Some(match kind.as_ref() {
        "text_delta" => AgentEvent::TextDelta { parent, index, text: delta.text?.0 },
        "thinking_delta" => AgentEvent::ThinkingDelta { parent, index, text: delta.thinking?.0 },
        "input_json_delta" => AgentEvent::InputDelta { parent, index, partial_json: delta.partial_json?.0 },
        _ => AgentEvent::Unknown { kind: format!("stream_event/content_block_delta/{kind}").into() },
    })
}

fn block_start(block: ContentBlock<'_>) -> Option<BlockStart<'_>> {
    let kind = block.kind.0;
    Some(match kind.as_ref() {
        "text" => BlockStart::Text,
        "thinking" => BlockStart::Thinking,
        "tool_use" => BlockStart::ToolUse { id: block.id?.0, name: block.name?.0 },
        _ => BlockStart::Other { kind },
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    event: Event<'a>,
    #[serde(borrow)]
    parent_tool_use_id: Option<Text<'a>>,
    abandoned_blocks: Option<AbandonedBlocks>,
}

#[derive(Deserialize)]
struct AbandonedBlocks {
    from_block_index: u32,
}

/// The fields of all kinds in one struct: the kind may come after them, and a second pass would cost more.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    content_block: Option<ContentBlock<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ContentBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
}
