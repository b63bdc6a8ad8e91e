//! Turns the agent's stream into events, and into signals for the running task.

use claude_stream::{AgentEvent, Asker, Block, BlockStart, SubagentPhase, ToolPermission, ToolResult};
use domain::event::{Event, Origin, Phase};
use domain::session::SessionId;
use observe::redact::SessionRedactor;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod cut;
mod held;
mod turn_end;

use claude_stream::STRUCTURED_OUTPUT;
use held::Held;
pub(crate) use turn_end::TurnEnd;

/// Lines that mean nothing to a person: the signature of a block, a count for each thinking delta, a tool that still runs, and
/// those that keep an interface of the CLI up to date.
const NOISE: [&str; 8] = [
    "attachment",
    "stream_event/content_block_delta/signature_delta",
    "stream_event/ping",
    "system/background_tasks_changed",
    "system/session_state_changed",
    "system/thinking_tokens",
    "system/ui_invalidate",
    "tool_progress",
];

/// The part of an agent process's output that the meaning of its next line depends on. It is stored with the task's
/// progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Narrator {
    /// Deltas arrived for the block that the next whole `assistant` frame repeats.
    text_streamed: bool,
    thinking_streamed: bool,
    /// The id of the message that is being streamed, until it stops.
    message: Option<String>,
    /// The number of its first event, which becomes void if the model is asked again.
    message_since: Option<u64>,
    /// The blocks of this message, each with the number of the first event that can be its own.
    #[serde(default)]
    blocks_since: Vec<(u32, u64)>,
    /// The message was cut short, and no event reports that yet.
    #[serde(default)]
    abandoned: bool,
    /// Tool calls of the structured-output mechanism, whose results are not shown.
    hidden_calls: Vec<String>,
    /// Calls of the top-level agent without a result.
    open_calls: Vec<String>,
    /// Ends of streamed texts that could be the beginning of a secret, held back until more of the text arrives or it
    /// ends.
    #[serde(default)]
    held: Vec<Held>,
}

/// The meaning of a line for the running task.
#[derive(Debug)]
pub(crate) enum AgentSignal {
    /// The line means nothing beyond its events.
    None,
    /// The CLI confirmed the message with this uuid.
    Accepted {
        uuid: String,
    },
    /// The conversation's name, at the beginning of each turn.
    Conversation {
        claude_session_id: String,
    },
    ToolCalled {
        tool: String,
        caller: Caller,
    },
    /// The last open tool call of the top-level agent has its result: a turn has ended, and the next model request follows.
    TurnOver,
    Ended(Box<TurnEnd>),
    /// The CLI asks a question that the coordinator has to answer. `call`: the call of a tool that it asks about.
    Asked {
        request_id: String,
        subtype: String,
        call: Option<Box<AskedCall>>,
    },
    /// The CLI no longer waits for an answer.
    Cancelled {
        request_id: String,
    },
    Answered {
        request_id: String,
        /// JSON, or the error.
        answer: Result<Option<String>, String>,
    },
}

/// A call of a tool that the CLI asks about.
#[derive(Debug)]
pub(crate) struct AskedCall {
    pub(crate) asker: Asker,
    pub(crate) tool: String,
    /// Both questions about one call have the same. A version that does not say it asks about each call for itself.
    pub(crate) tool_use_id: String,
    pub(crate) input: Box<RawValue>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// The CLI asks only because of its own check of dangerous commands.
    pub(crate) is_safety_check: bool,
}

/// The caller of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Agent,
    Subagent,
}

impl Narrator {
    /// Returns true while a tool runs, when silence is expected.
    pub(crate) fn tool_runs(&self) -> bool {
        !self.open_calls.is_empty()
    }

    /// Appends the events of one line. `seq`: the number that the first of them gets. `raw`: the line.
    pub(crate) fn narrate(
        &mut self,
        session: &SessionId,
        event: AgentEvent<'_>,
        raw: &str,
        seq: u64,
        secrets: &SessionRedactor,
        events: &mut Vec<Event>,
    ) -> AgentSignal {
        let first = events.len();
        self.release_before(&event, events);
        // Released text belongs to the lines before this one, which may end the message.
        self.notice_first(seq, &events[first..]);
        let released = events.len();
        if let AgentEvent::BlockStart { parent: None, index, .. } = event {
            self.blocks_since.push((index, seq + (released - first) as u64));
        }
        let signal = self.narrate_event(session, event, raw, secrets, events);
        self.notice_first(seq + (released - first) as u64, &events[released..]);
        signal
    }

    fn narrate_event(
        &mut self,
        session: &SessionId,
        event: AgentEvent<'_>,
        raw: &str,
        secrets: &SessionRedactor,
        events: &mut Vec<Event>,
    ) -> AgentSignal {
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
                return AgentSignal::Conversation { claude_session_id };
            }
            AgentEvent::MessageStart { parent: None, message_id, .. } => {
                self.notice_cut(&message_id, events);
                (self.text_streamed, self.thinking_streamed) = (false, false);
                self.close_message();
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
            AgentEvent::MessageStop { parent: None, abandoned_from: None } => self.close_message(),
            AgentEvent::MessageStop { parent: None, abandoned_from: Some(index) } => self.abandon(index),
            AgentEvent::Assistant { parent, message_id, blocks, error, .. } => {
                if parent.is_none() && error.is_none() {
                    self.notice_cut(&message_id, events);
                }
                let mut signal = AgentSignal::None;
                for block in blocks {
                    // An API failure becomes the task's error, not text of the agent.
                    if error.is_none() {
                        signal = self.narrate_block(parent.as_deref(), block, events).unwrap_or(signal);
                    }
                }
                return signal;
            }
            AgentEvent::UserReplay { uuid } => return AgentSignal::Accepted { uuid: uuid.into_owned() },
            AgentEvent::ToolResults { parent, results } => {
                if parent.is_none() {
                    // The message made calls, so it cannot become void, unless a part after the calls was cut off. A message that
                    // arrived whole has no stop event.
                    if self.abandoned {
                        self.void_message(events);
                    }
                    self.close_message();
                }
                let open = self.open_calls.len();
                for result in results {
                    self.open_calls.retain(|id| *id != result.tool_use_id);
                    self.narrate_result(parent.as_deref(), result, events);
                }
                if open > 0 && self.open_calls.is_empty() {
                    return AgentSignal::TurnOver;
                }
            }
            AgentEvent::ApiRetry { attempt, max_retries, delay_ms, status, reason } => {
                events.push(Event::Retry {
                    attempt,
                    max_retries,
                    delay_ms: milliseconds(delay_ms),
                    status,
                    reason: reason.into_owned(),
                    discards_from: self.message_since.take(),
                });
                if self.abandoned {
                    self.close_message();
                }
            }
            AgentEvent::Subagent { phase, .. } => {
                events.push(Event::Subagent { phase: event_phase(phase), frame: frame(raw).0 });
            }
            AgentEvent::Result(result) => return AgentSignal::Ended(Box::new(result.into())),
            AgentEvent::ControlRequest { request_id, subtype, request } => {
                return AgentSignal::Asked {
                    request_id: request_id.into_owned(),
                    subtype: subtype.into_owned(),
                    call: asked_call(request),
                };
            }
            AgentEvent::ControlCancel { request_id } => {
                return AgentSignal::Cancelled { request_id: request_id.into_owned() };
            }
            AgentEvent::ControlResponse { request_id, outcome } => {
                let answer = outcome.map(|answer| answer.map(|json| json.get().to_owned()));
                return AgentSignal::Answered { request_id: request_id.into_owned(), answer };
            }
            AgentEvent::Unknown { kind } if NOISE.contains(&kind.as_ref()) => {}
            AgentEvent::Unknown { .. } => events.push(Event::Raw { event: frame(raw).0 }),
            AgentEvent::Status { .. }
            | AgentEvent::CommandLifecycle { .. }
            | AgentEvent::MessageStart { parent: Some(_), .. }
            | AgentEvent::BlockStart { .. }
            | AgentEvent::InputDelta { .. }
            | AgentEvent::BlockStop { .. }
            | AgentEvent::MessageDelta { .. }
            | AgentEvent::MessageStop { parent: Some(_), .. }
            | AgentEvent::UserText { .. } => {}
        }
        AgentSignal::None
    }

    /// A whole block repeats the streamed deltas, or replaces them if none arrived.
    fn narrate_block(
        &mut self,
        parent: Option<&str>,
        block: Block<'_>,
        events: &mut Vec<Event>,
    ) -> Option<AgentSignal> {
        let origin = Origin { parent_tool_use_id: parent.map(str::to_owned) };
        match block {
            Block::Text { text } => {
                if !std::mem::take(&mut self.text_streamed) && !text.is_empty() {
                    push_text(&text, &origin, events);
                }
                None
            }
            Block::Thinking { text } => {
                if !std::mem::take(&mut self.thinking_streamed) && !text.is_empty() {
                    events.push(Event::ThinkingStart(origin.clone()));
                    push_thinking(&text, &origin, events);
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
                Some(AgentSignal::ToolCalled { tool, caller })
            }
            Block::Other { .. } => None,
        }
    }

    fn narrate_result(&mut self, parent: Option<&str>, result: ToolResult<'_>, events: &mut Vec<Event>) {
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

const fn event_phase(phase: SubagentPhase) -> Phase {
    match phase {
        SubagentPhase::Started => Phase::Started,
        SubagentPhase::Updated => Phase::Updated,
        SubagentPhase::Ended => Phase::Ended,
    }
}

/// The call that the CLI asks about.
fn asked_call(request: &RawValue) -> Option<Box<AskedCall>> {
    let permission = ToolPermission::read(request)?;
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    Some(Box::new(AskedCall {
        asker: permission.asker,
        is_safety_check: permission.reason.as_deref() == Some("safetyCheck"),
        tool: permission.tool.into_owned(),
        tool_use_id: owned(permission.tool_use_id).unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        input: permission.input.to_owned(),
        title: owned(permission.title),
        description: owned(permission.description),
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer casts saturate")]
fn milliseconds(delay: f64) -> u64 {
    delay.round() as u64
}

/// Returns the agent's JSON as it arrived, or a string with its beginning if it is too large.
fn frame(json: &str) -> (Box<RawValue>, bool) {
    let (beginning, truncated) = bounded(json, Event::MAX_FRAME_BYTES);
    let frame = if truncated {
        serde_json::value::to_raw_value(beginning)
    } else {
        // The decoder has parsed it.
        RawValue::from_string(json.to_owned())
    };
    (frame.unwrap_or_default(), truncated)
}

fn push_text(text: &str, origin: &Origin, events: &mut Vec<Event>) {
    events.extend(pieces(text).map(|piece| Event::Text { text: piece.to_owned(), origin: origin.clone() }));
}

fn push_thinking(text: &str, origin: &Origin, events: &mut Vec<Event>) {
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

/// The longest beginning of `text` with at most `bytes` bytes, and whether it was cut.
fn bounded(text: &str, bytes: usize) -> (&str, bool) {
    if text.len() <= bytes { (text, false) } else { (&text[..text.floor_char_boundary(bytes)], true) }
}

#[cfg(test)]
mod tests;
