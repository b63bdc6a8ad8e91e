//! `{"type":"assistant","message":{"id":"…","model":"…","content":[BLOCK,…],…},"parent_tool_use_id":null,"error":"…"?,…}`

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{AgentEvent, Block};
use crate::text::{Text, plain};

pub(super) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    let Line { message, parent_tool_use_id, error } = serde_json::from_str(line).ok()?;
    Some(AgentEvent::Assistant {
        parent: plain(parent_tool_use_id),
        message_id: message.id.0,
        model: message.model.0,
        blocks: message.content.into_iter().map(block).collect::<Option<_>>()?,
        error: plain(error),
    })
}

fn block(block: ContentBlock<'_>) -> Option<Block<'_>> {
    let kind = block.kind.0;
    Some(match kind.as_ref() {
        "text" => Block::Text { text: block.text?.0 },
        "thinking" => Block::Thinking { text: block.thinking?.0 },
        "tool_use" => Block::ToolUse { id: block.id?.0, name: block.name?.0, input: block.input? },
        _ => Block::Other { kind },
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow)]
    parent_tool_use_id: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    content: Vec<ContentBlock<'a>>,
}

/// The fields of all kinds of blocks in one struct, because the kind may come after the other fields.
#[derive(Deserialize)]
struct ContentBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}
