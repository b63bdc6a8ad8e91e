//! Tells what the agent does: turns its stream into our events, and watches for what matters to the running task.

use claude_stream::{AgentEvent, Block, BlockStart, ResultSubtype, SubagentPhase, ToolResult, TurnResult};
use domain::event::{Event, Origin};
use domain::session::SessionId;
use observe::redact::SessionRedactor;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use held::Held;

mod held;
use claude_stream::STRUCTURED_OUTPUT;

const NOISE: [&str; 3] =
    ["stream_event/content_block_delta/signature_delta", "stream_event/ping", "system/thinking_tokens"];

/// What one agent process has said so far, as far as the next line's meaning depends on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Narrator {
    /// Deltas came for the block that the next whole `assistant` frame repeats.
    text_streamed: bool,
    thinking_streamed: bool,
    /// The message that is being streamed, until it stops.
    message: Option<String>,
    /// Its first event: void if the model is asked again.
    message_since: Option<u64>,
    /// Tool calls of the structured-output mechanism, whose results are not shown.
    hidden_calls: Vec<String>,
    /// Calls of the top-level agent that have no result yet.
    open_calls: Vec<String>,
    /// Ends of streamed texts that could be the beginning of a secret, until more of the text or its end is heard.
    #[serde(default)]
    held: Vec<Held>,
}

/// What a line means to the task.
#[derive(Debug)]
pub(crate) enum Sign {
    /// Only something to show.
    None,
    /// The CLI took the message with this uuid.
    Accepted {
        uuid: String,
    },
    /// The conversation's name, at the begin of each turn.
    Conversation {
        claude_session_id: String,
    },
    ToolCalled {
        tool: String,
        caller: Caller,
    },
    /// The last open tool call of the top-level agent has its result: a turn is over and the next model request follows.
    TurnOver,
    Ended(Box<TurnEnd>),
    /// The CLI asks something that we have to answer.
    Asked {
        request_id: String,
        subtype: String,
    },
    Answered {
        request_id: String,
        error: Option<String>,
    },
}

/// Who called a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Agent,
    Subagent,
}

/// The agent's own account of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TurnEnd {
    pub(crate) is_error: bool,
    pub(crate) subtype: String,
    pub(crate) api_error_status: Option<u16>,
    pub(crate) text: Option<String>,
    pub(crate) structured_output: Option<serde_json::Value>,
    pub(crate) cli_cost: Option<f64>,
    pub(crate) errors: Vec<String>,
}

impl Narrator {
    /// Whether a tool runs: then silence is not a sign of trouble.
    pub(crate) fn tool_runs(&self) -> bool {
        !self.open_calls.is_empty()
    }

    /// `seq` is the number that the first event told will get.
    pub(crate) fn tell(
        &mut self,
        session: &SessionId,
        event: AgentEvent<'_>,
        raw: &str,
        seq: u64,
        secrets: &SessionRedactor,
        events: &mut Vec<Event>,
    ) -> Sign {
        let first = events.len();
        self.release_before(&event, events);
        // It belongs to what came before this line, which may be the end of the message.
        self.notice_first(seq, &events[first..]);
        let released = events.len();
        let sign = self.tell_one(session, event, raw, secrets, events);
        self.notice_first(seq + (released - first) as u64, &events[released..]);
        sign
    }

    /// Remembers the first event of a message that may yet be void.
    fn notice_first(&mut self, seq: u64, events: &[Event]) {
        let voidable =
            |event: &Event| matches!(event, Event::Text { .. } | Event::Thinking { .. } | Event::ThinkingStart(_));
        if self.message_since.is_none()
            && let Some(offset) = events.iter().position(voidable)
        {
            self.message_since = Some(seq + offset as u64);
        }
    }

    fn tell_one(
        &mut self,
        session: &SessionId,
        event: AgentEvent<'_>,
        raw: &str,
        secrets: &SessionRedactor,
        events: &mut Vec<Event>,
    ) -> Sign {
        match event {
            AgentEvent::Init { session_id, model, tools, .. } => {
                let claude_session_id = session_id.into_owned();
                events.push(Event::Init {
                    session_id: session.clone(),
                    model: model.into_owned(),
                    tools: tools
                        .into_iter()
                        .map(Into::into)
                        .filter(|tool: &String| tool != STRUCTURED_OUTPUT)
                        .collect(),
                    claude_session_id: claude_session_id.clone(),
                });
                return Sign::Conversation { claude_session_id };
            }
            AgentEvent::MessageStart { parent: None, message_id, .. } => {
                self.notice_cut(&message_id, events);
                (self.text_streamed, self.thinking_streamed, self.message_since) = (false, false, None);
                self.message = Some(message_id.into_owned());
            }
            AgentEvent::BlockStart { parent, block: BlockStart::Thinking, .. } => {
                events.push(Event::ThinkingStart(origin(parent)));
            }
            AgentEvent::TextDelta { parent, text, .. } => {
                self.text_streamed = true;
                self.stream(false, &text, origin(parent), secrets, events);
            }
            AgentEvent::ThinkingDelta { parent, text, .. } => {
                self.thinking_streamed = true;
                self.stream(true, &text, origin(parent), secrets, events);
            }
            AgentEvent::MessageStop { parent: None } => (self.message, self.message_since) = (None, None),
            AgentEvent::Assistant { parent, message_id, blocks, error, .. } => {
                if parent.is_none() && error.is_none() {
                    self.notice_cut(&message_id, events);
                }
                let mut sign = Sign::None;
                for block in blocks {
                    // An API failure is told as the task's error, not as words of the agent.
                    if error.is_none() {
                        sign = self.tell_block(parent.as_deref(), block, events).unwrap_or(sign);
                    }
                }
                return sign;
            }
            AgentEvent::UserReplay { uuid } => return Sign::Accepted { uuid: uuid.into_owned() },
            AgentEvent::ToolResults { parent, results } => {
                if parent.is_none() {
                    // Its calls were made: this message stands, even one that came whole and so without an end of its own.
                    (self.message, self.message_since) = (None, None);
                }
                let open = self.open_calls.len();
                for result in results {
                    self.open_calls.retain(|id| *id != result.tool_use_id);
                    self.tell_result(parent.as_deref(), result, events);
                }
                if open > 0 && self.open_calls.is_empty() {
                    return Sign::TurnOver;
                }
            }
            AgentEvent::ApiRetry { attempt, max_retries, delay_ms, status, reason } => events.push(Event::Retry {
                attempt,
                max_retries,
                delay_ms: milliseconds(delay_ms),
                status,
                reason: reason.into_owned(),
                discards_from: self.message_since.take(),
            }),
            AgentEvent::Subagent { phase, .. } => {
                events.push(Event::Subagent { phase: phase_name(phase), frame: frame(raw).0 });
            }
            AgentEvent::Result(result) => return Sign::Ended(Box::new(turn_end(result))),
            AgentEvent::ControlRequest { request_id, subtype, .. } => {
                return Sign::Asked { request_id: request_id.into_owned(), subtype: subtype.into_owned() };
            }
            AgentEvent::ControlResponse { request_id, outcome } => {
                return Sign::Answered { request_id: request_id.into_owned(), error: outcome.err() };
            }
            // Known to carry nothing for a person: a block's signature, a keep-alive, a count per thinking delta.
            AgentEvent::Unknown { kind } if NOISE.contains(&kind.as_ref()) => {}
            AgentEvent::Unknown { .. } => events.push(Event::Raw { event: frame(raw).0 }),
            AgentEvent::Status { .. }
            | AgentEvent::MessageStart { parent: Some(_), .. }
            | AgentEvent::BlockStart { .. }
            | AgentEvent::InputDelta { .. }
            | AgentEvent::BlockStop { .. }
            | AgentEvent::MessageDelta { .. }
            | AgentEvent::MessageStop { parent: Some(_) }
            | AgentEvent::UserText { .. } => {}
        }
        Sign::None
    }

    /// A message under another name than the one that is being streamed and has not stopped: the connection was cut and the
    /// CLI asked again, streaming or not. It says so in an `api_retry` only where its own retries were at work.
    fn notice_cut(&mut self, message_id: &str, events: &mut Vec<Event>) {
        let Some(_) = self.message.take_if(|streamed| streamed != message_id) else { return };
        (self.text_streamed, self.thinking_streamed) = (false, false);
        if let Some(since) = self.message_since.take() {
            events.push(Event::Retry {
                attempt: 1,
                max_retries: 1,
                delay_ms: 0,
                status: None,
                reason: "connection_cut".to_owned(),
                discards_from: Some(since),
            });
        }
    }

    /// A whole block: it repeats what was streamed, or stands for it where nothing was.
    fn tell_block(&mut self, parent: Option<&str>, block: Block<'_>, events: &mut Vec<Event>) -> Option<Sign> {
        let origin = Origin { parent_tool_use_id: parent.map(str::to_owned) };
        match block {
            Block::Text { text } => {
                if !std::mem::take(&mut self.text_streamed) && !text.is_empty() {
                    tell_text(&text, &origin, events);
                }
                None
            }
            Block::Thinking { text } => {
                if !std::mem::take(&mut self.thinking_streamed) && !text.is_empty() {
                    events.push(Event::ThinkingStart(origin.clone()));
                    tell_thinking(&text, &origin, events);
                }
                None
            }
            Block::ToolUse { id, name, .. } if name == STRUCTURED_OUTPUT => {
                self.hidden_calls.push(id.into_owned());
                None
            }
            Block::ToolUse { id, name, input } => {
                let tool = name.into_owned();
                if parent.is_none() {
                    self.open_calls.push(id.clone().into_owned());
                }
                let (input, truncated) = frame(input.get());
                events.push(Event::ToolStart {
                    tool: tool.clone(),
                    input,
                    truncated,
                    tool_use_id: id.into_owned(),
                    origin,
                });
                let caller = if parent.is_none() { Caller::Agent } else { Caller::Subagent };
                Some(Sign::ToolCalled { tool, caller })
            }
            Block::Other { .. } => None,
        }
    }

    fn tell_result(&mut self, parent: Option<&str>, result: ToolResult<'_>, events: &mut Vec<Event>) {
        if let Some(hidden) = self.hidden_calls.iter().position(|id| *id == result.tool_use_id) {
            self.hidden_calls.swap_remove(hidden);
            return;
        }
        let (text, truncated) = bounded(&result.content, Event::MAX_TOOL_RESULT_BYTES);
        events.push(Event::ToolEnd {
            tool_use_id: result.tool_use_id.into_owned(),
            result: text.to_owned(),
            is_error: result.is_error,
            truncated,
            origin: Origin { parent_tool_use_id: parent.map(str::to_owned) },
        });
    }
}

fn origin(parent: Option<std::borrow::Cow<'_, str>>) -> Origin {
    Origin { parent_tool_use_id: parent.map(std::borrow::Cow::into_owned) }
}

const fn phase_name(phase: SubagentPhase) -> &'static str {
    match phase {
        SubagentPhase::Started => "started",
        SubagentPhase::Updated => "updated",
        SubagentPhase::Ended => "ended",
    }
}

/// As the CLI calls it.
fn subtype_name(subtype: ResultSubtype<'_>) -> String {
    match subtype {
        ResultSubtype::Success => "success".to_owned(),
        ResultSubtype::ErrorMaxTurns => "error_max_turns".to_owned(),
        ResultSubtype::ErrorMaxBudget => "error_max_budget_usd".to_owned(),
        ResultSubtype::ErrorDuringExecution => "error_during_execution".to_owned(),
        ResultSubtype::ErrorMaxStructuredOutputRetries => "error_max_structured_output_retries".to_owned(),
        ResultSubtype::Other(name) => name.into_owned(),
    }
}

fn turn_end(result: TurnResult<'_>) -> TurnEnd {
    TurnEnd {
        is_error: result.is_error,
        subtype: subtype_name(result.subtype),
        api_error_status: result.api_error_status,
        text: result.result.map(std::borrow::Cow::into_owned),
        structured_output: result.structured_output.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        cli_cost: result.total_cost_usd,
        errors: result.errors.into_iter().map(std::borrow::Cow::into_owned).collect(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer casts saturate")]
fn milliseconds(delay: f64) -> u64 {
    delay.round() as u64
}

/// JSON of the agent as it came; where it is too large, a string with its beginning.
fn frame(json: &str) -> (Box<RawValue>, bool) {
    let (beginning, truncated) = bounded(json, Event::MAX_FRAME_BYTES);
    let frame = if truncated {
        serde_json::value::to_raw_value(beginning)
    } else {
        // The decoder took it for JSON, so it is.
        RawValue::from_string(json.to_owned())
    };
    (frame.unwrap_or_default(), truncated)
}

fn tell_text(text: &str, origin: &Origin, events: &mut Vec<Event>) {
    events.extend(pieces(text).map(|piece| Event::Text { text: piece.to_owned(), origin: origin.clone() }));
}

fn tell_thinking(text: &str, origin: &Origin, events: &mut Vec<Event>) {
    events.extend(pieces(text).map(|piece| Event::Thinking { text: piece.to_owned(), origin: origin.clone() }));
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, _) = bounded(rest, Event::MAX_TEXT_BYTES);
        rest = &rest[piece.len()..];
        (!piece.is_empty()).then_some(piece)
    })
}

/// The longest beginning of `text` that has at most `bytes` bytes, and whether that is not all.
fn bounded(text: &str, bytes: usize) -> (&str, bool) {
    if text.len() <= bytes { (text, false) } else { (&text[..text.floor_char_boundary(bytes)], true) }
}

#[cfg(test)]
mod tests;
