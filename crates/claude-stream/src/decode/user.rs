//! `{"type":"user","message":{"role":"user","content":"…" | [BLOCK,…]},"parent_tool_use_id":null,"uuid":"…",
//! "isReplay":true?,"isSynthetic":true?,…}`

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{AgentEvent, ToolResult};
use crate::text::{Text, plain};

pub(super) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    if line.is_replay == Some(true) {
        // The message's content does not matter here: the sender of this uuid must get its confirmation.
        return Some(AgentEvent::UserReplay { uuid: line.uuid?.0 });
    }
    let parent = plain(line.parent_tool_use_id);
    let message: Message<'_> = serde_json::from_str(line.message?.get()).ok()?;
    Some(match message.content.tool_results()? {
        results if results.is_empty() => {
            AgentEvent::UserText { parent, synthetic: line.is_synthetic.unwrap_or_default() }
        }
        results => AgentEvent::ToolResults { parent, results },
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    parent_tool_use_id: Option<Text<'a>>,
    #[serde(borrow)]
    uuid: Option<Text<'a>>,
    #[serde(rename = "isReplay")]
    is_replay: Option<bool>,
    #[serde(rename = "isSynthetic")]
    is_synthetic: Option<bool>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Content<'a>,
}

/// The fields of all kinds of blocks in one struct, because the kind may come after them. `content` is the content of a
/// `tool_result`.
#[derive(Deserialize)]
struct ContentBlock<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    tool_use_id: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    is_error: Option<bool>,
}

/// The Messages API writes content as a string or as blocks, both in messages and in tool results.
enum Content<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<ContentBlock<'a>>),
}

impl<'a> Content<'a> {
    fn tool_results(self) -> Option<Vec<ToolResult<'a>>> {
        match self {
            Self::Text(_) => Some(Vec::new()),
            Self::Blocks(blocks) => {
                blocks.into_iter().filter(|block| block.kind.0 == "tool_result").map(tool_result).collect()
            }
        }
    }

    fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Blocks(blocks) => {
                let mut texts = blocks.into_iter().map(|block| match block.text {
                    Some(Text(text)) if block.kind.0 == "text" => text,
                    _ => format!("[{}]", block.kind.0).into(),
                });
                let first = texts.next().unwrap_or_default();
                texts.fold(first, |text, next| text + "\n" + next)
            }
        }
    }
}

fn tool_result(block: ContentBlock<'_>) -> Option<ToolResult<'_>> {
    let content = match block.content {
        Some(raw) => serde_json::from_str::<Content<'_>>(raw.get()).ok()?.into_text(),
        None => Cow::Borrowed(""),
    };
    Some(ToolResult { tool_use_id: block.tool_use_id?.0, content, is_error: block.is_error.unwrap_or_default() })
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string or a list of content blocks")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut blocks = Vec::new();
        while let Some(block) = seq.next_element()? {
            blocks.push(block);
        }
        Ok(Content::Blocks(blocks))
    }
}
