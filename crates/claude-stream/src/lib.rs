//! The codec of the Claude Code CLI as a child process: `--output-format stream-json` on its stdout, `--input-format
//! stream-json` and the control protocol on its stdin. The codec is pure: bytes in, events out; no I/O, no clock.
//!
//! | module | contains |
//! |---|---|
//! | `decoder` | [`Decoder`]: splits stdout into lines, within a limit, and decodes each |
//! | `decode` | one line of JSON to one event, a file per type of line |
//! | `event` | [`AgentEvent`] and its parts |
//! | `encode` | lines for stdin: messages, control requests, answers to permission requests |
//! | `surrogates`, `text` | lone UTF-16 surrogates; strings that borrow from the line |
//!
//! ```
//! use claude_stream::{AgentEvent, Decoder};
//!
//! let stdout = br#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}},"parent_tool_use_id":null}
//! "#;
//! let mut text = String::new();
//! Decoder::new(16 << 20).feed(stdout, |line| {
//!     if let Ok(AgentEvent::TextDelta { text: delta, .. }) = line.map(|line| line.event) {
//!         text.push_str(&delta);
//!     }
//! });
//! assert_eq!(text, "Hello");
//! ```
//!
//! Invariants:
//! - The same bytes give the same sequence, however they are cut.
//! - Every line that is not blank gives exactly one item: an event or an error. Neither ends the decoding; the next
//!   line is decoded as if the bad one had not been there.
//! - Memory is bounded by the line limit. Strings borrow from the input unless JSON escapes force a copy.
//! - Every release of the CLI adds event types. An unknown type, or a known type whose fields do not fit, gives
//!   [`AgentEvent::Unknown`] with the raw line. It is never an error.
//! - Lone UTF-16 surrogates, which JavaScript writes when it cuts a string inside a character, decode as U+FFFD.
//!
//! The shapes are recorded from version 2.1.332. In `tests/transcripts`, `NAME.ndjson` is the CLI's output and
//! `NAME.stdin.ndjson` is the input of the same run.

/// The name of the tool with which the model returns its structured output.
pub const STRUCTURED_OUTPUT: &str = "StructuredOutput";

mod decode;
mod decoder;
mod encode;
mod event;
mod surrogates;
mod text;

pub use decoder::{AgentLine, Decoder, LineError};
pub use encode::{ControlRequest, HookAnswer, allow_tool, deny_tool, hook_answer, user_message};
pub use event::{
    AgentEvent, Asker, Block, BlockStart, ResultSubtype, SubagentPhase, ToolPermission, ToolResult, TurnResult,
};
