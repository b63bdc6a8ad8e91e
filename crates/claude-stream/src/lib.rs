//! Codec of what the Claude Code CLI speaks when it is a child process: `--output-format stream-json` on its stdout,
//! `--input-format stream-json` and the control protocol on its stdin. Pure: bytes in, events out; no I/O, no clock.
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
//! What the decoder promises:
//! - The same bytes give the same sequence, however they are cut.
//! - Every line that is not blank gives exactly one item: an event, or the reason why there is none. Neither ends the
//!   decoding; the next line is decoded as if the bad one had not been there.
//! - Memory is bounded by the line limit. Strings are borrowed from the input unless JSON escapes force a copy.
//! - New event types appear with every release of the CLI. One that is not known here, or a known one whose fields do not
//!   fit, is [`AgentEvent::Unknown`] beside the raw line, never an error.
//! - Lone UTF-16 surrogates, which JavaScript writes when it cuts a string inside a character, decode as U+FFFD.
//!
//! The shapes are those recorded from version 2.1.197 (`tests/transcripts`: `NAME.ndjson` is what the CLI wrote,
//! `NAME.stdin.ndjson` what it was sent).

/// The tool with which the model gives its structured answer.
pub const STRUCTURED_OUTPUT: &str = "StructuredOutput";

mod decode;
mod decoder;
mod encode;
mod event;
mod surrogates;
mod text;

pub use decoder::{AgentLine, Decoder, LineError};
pub use encode::{ControlRequest, allow_tool, deny_tool, user_message};
pub use event::{AgentEvent, Block, BlockStart, ResultSubtype, SubagentPhase, ToolResult, TurnResult};
