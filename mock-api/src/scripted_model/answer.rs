//! The answers of the scripted model.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::failure::Failure;

/// The default number of characters per delta. The recorded transcripts have 12.
pub(super) const CHUNK: usize = 12;

/// The answer to one request.
#[derive(Debug)]
pub(super) struct Answer {
    /// The time before the first byte, including the status line.
    pub(super) silence: Duration,
    pub(super) outcome: Result<Reply, Failure>,
}

/// An assistant message, and the way in which it is sent.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) blocks: Vec<Block>,
    /// The time between two deltas of a stream.
    pub(super) delta_delay: Duration,
    /// The number of deltas after which the connection of a stream is cut.
    pub(super) cut_after: Option<usize>,
    pub(super) usage: Usage,
    /// Further fields of `usage`, which replace those of the same name.
    pub(super) stated: Map<String, Value>,
    /// A page of HTML in place of the answer, as of a proxy in front of the API.
    pub(super) page: Option<String>,
}

/// A content block. Text and thinking are already split into deltas.
#[derive(Debug)]
pub(super) enum Block {
    Thinking(Vec<String>),
    Text(Vec<String>),
    ToolUse { id: String, name: String, input: Value },
}

/// Token counts. The defaults are those of the recorded transcripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write: u64,
    pub(super) cache_read: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 1000, output: 50, cache_write: 0, cache_read: 0 }
    }
}

impl Answer {
    pub(super) fn text(text: &str) -> Self {
        Reply::of([Block::text(text)]).into()
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { silence: Duration::ZERO, outcome: Ok(reply) }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self { silence: Duration::ZERO, outcome: Err(failure) }
    }
}

impl Reply {
    pub(super) fn of(blocks: impl Into<Vec<Block>>) -> Self {
        Self { blocks: blocks.into(), ..Self::default() }
    }

    /// `tool_use` if the client is expected to run a tool and continue, else `end_turn`.
    pub(super) fn stop_reason(&self) -> &'static str {
        let calls = self.blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        if calls { "tool_use" } else { "end_turn" }
    }
}

impl Block {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(pieces(text, CHUNK))
    }

    pub(super) fn thinking(text: &str) -> Self {
        Self::Thinking(pieces(text, CHUNK))
    }

    pub(super) fn call(name: &str, input: Value) -> Self {
        // The id must be unique beyond this process, because a conversation may continue with another one.
        Self::ToolUse { id: format!("toolu_{}", Uuid::new_v4().simple()), name: name.to_owned(), input }
    }
}

/// Splits `text` into pieces of `chunk` characters (1 if it is 0). The last one may be shorter.
pub(super) fn pieces(text: &str, chunk: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(chunk.max(1)).map(|piece| piece.iter().collect()).collect()
}
