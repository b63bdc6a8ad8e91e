//! What the CLI says, one value per line of its stdout.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// One decoded line. Strings borrow from the line unless they held escapes. `parent` is the CLI's `parent_tool_use_id`:
/// the id of the tool call whose subagent produced the event, `None` for the main conversation.
#[derive(Debug, Clone)]
pub enum AgentEvent<'a> {
    /// `system`/`init`: once at the start of every turn, not once per process. `session_id` is the CLI's conversation id,
    /// the one `--resume` takes.
    Init {
        session_id: Cow<'a, str>,
        model: Cow<'a, str>,
        tools: Vec<Cow<'a, str>>,
        permission_mode: Cow<'a, str>,
        version: Cow<'a, str>,
    },
    /// `system`/`status`: `requesting`, `compacting`, …; `None` when it is over.
    Status { status: Option<Cow<'a, str>> },
    /// `stream_event`/`message_start`.
    MessageStart { parent: Option<Cow<'a, str>>, message_id: Cow<'a, str>, model: Cow<'a, str> },
    /// `stream_event`/`content_block_start`. `index` counts from 0 within the message.
    BlockStart { parent: Option<Cow<'a, str>>, index: u32, block: BlockStart<'a> },
    /// `stream_event`/`content_block_delta`/`text_delta`.
    TextDelta { parent: Option<Cow<'a, str>>, index: u32, text: Cow<'a, str> },
    /// `stream_event`/`content_block_delta`/`thinking_delta`.
    ThinkingDelta { parent: Option<Cow<'a, str>>, index: u32, text: Cow<'a, str> },
    /// `stream_event`/`content_block_delta`/`input_json_delta`: a piece of a tool call's input, not JSON by itself.
    InputDelta { parent: Option<Cow<'a, str>>, index: u32, partial_json: Cow<'a, str> },
    /// `stream_event`/`content_block_stop`.
    BlockStop { parent: Option<Cow<'a, str>>, index: u32 },
    /// `stream_event`/`message_delta`.
    MessageDelta { parent: Option<Cow<'a, str>>, stop_reason: Option<Cow<'a, str>> },
    /// `stream_event`/`message_stop`.
    MessageStop { parent: Option<Cow<'a, str>> },
    /// `assistant`: finished blocks of a message, usually one per line, after their deltas. After a cut connection the
    /// CLI asks again without streaming, and this line comes without deltas. `error` (`authentication_failed`,
    /// `rate_limit`, …) marks a message that the CLI made up to tell of a failed request; its model is `<synthetic>`.
    Assistant {
        parent: Option<Cow<'a, str>>,
        message_id: Cow<'a, str>,
        model: Cow<'a, str>,
        blocks: Vec<Block<'a>>,
        error: Option<Cow<'a, str>>,
    },
    /// `user` with `isReplay`: the message of this `uuid` was taken in (`--replay-user-messages`). Output of the CLI's own
    /// commands (`set_model` gives one) is replayed too, under a `uuid` of the CLI's making.
    UserReplay { uuid: Cow<'a, str> },
    /// `user` whose content holds tool results.
    ToolResults { parent: Option<Cow<'a, str>>, results: Vec<ToolResult<'a>> },
    /// Any other `user` line: a subagent's prompt, the note of an interrupt, or (`synthetic`) a nudge of the CLI.
    UserText { parent: Option<Cow<'a, str>>, synthetic: bool },
    /// `system`/`api_retry`: a model request failed and is sent again after `delay_ms`. `status` is the HTTP status, `None`
    /// when there was no answer; `reason` is `authentication_failed`, `overloaded`, `rate_limit`, `unknown`, …
    ApiRetry { attempt: u32, max_retries: u32, delay_ms: f64, status: Option<u16>, reason: Cow<'a, str> },
    /// `system`/`task_started`, `task_updated`, `task_notification`; the details are in the raw line.
    Subagent { phase: SubagentPhase, task_id: Cow<'a, str>, tool_use_id: Option<Cow<'a, str>> },
    /// `result`: the turn is over.
    Result(TurnResult<'a>),
    /// `control_response`: the answer to the [`ControlRequest`](crate::ControlRequest) of this id; `Err` is the CLI's message.
    ControlResponse { request_id: Cow<'a, str>, outcome: Result<Option<&'a RawValue>, String> },
    /// `control_request`: the CLI asks and waits. `can_use_tool` is answered by [`allow_tool`](crate::allow_tool) or
    /// [`deny_tool`](crate::deny_tool). `request` is the whole inner object.
    ControlRequest { request_id: Cow<'a, str>, subtype: Cow<'a, str>, request: &'a RawValue },
    /// Valid JSON that is none of the above. `kind` is the path of its types (`system/thinking_tokens`,
    /// `stream_event/content_block_delta/signature_delta`), as far as they could be read; empty where there is no `type`.
    Unknown { kind: Cow<'a, str> },
}

/// A content block that begins; what it says comes in deltas.
#[derive(Debug, Clone)]
pub enum BlockStart<'a> {
    Text,
    Thinking,
    ToolUse { id: Cow<'a, str>, name: Cow<'a, str> },
    Other { kind: Cow<'a, str> },
}

/// A finished content block. `input` may nest deeper than `serde_json` is willing to parse (128).
#[derive(Debug, Clone)]
pub enum Block<'a> {
    Text { text: Cow<'a, str> },
    Thinking { text: Cow<'a, str> },
    ToolUse { id: Cow<'a, str>, name: Cow<'a, str>, input: &'a RawValue },
    Other { kind: Cow<'a, str> },
}

/// What a tool gave back. `content` is text: a string as it is, text blocks joined by newlines, any other block as a
/// marker with its type (`[image]`).
#[derive(Debug, Clone)]
pub struct ToolResult<'a> {
    pub tool_use_id: Cow<'a, str>,
    pub content: Cow<'a, str>,
    pub is_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubagentPhase {
    Started,
    Updated,
    Ended,
}

/// The end of a turn. Decide on `is_error`, never on `subtype` alone: a failed model request ends as
/// [`ResultSubtype::Success`] with `is_error` and `api_error_status`. A field that is missing or does not fit takes its
/// default rather than making the line unknown, for without this event a turn would never end.
#[derive(Debug, Clone)]
pub struct TurnResult<'a> {
    pub subtype: ResultSubtype<'a>,
    /// Where the line does not say: whether `subtype` is other than success.
    pub is_error: bool,
    pub api_error_status: Option<u16>,
    /// The answer, or the message of a failed model request. The `error_*` subtypes have none.
    pub result: Option<Cow<'a, str>>,
    pub structured_output: Option<&'a RawValue>,
    pub session_id: Cow<'a, str>,
    pub num_turns: u32,
    /// Cumulative for the process, in US dollars.
    pub total_cost_usd: Option<f64>,
    pub duration_ms: u64,
    /// `completed`, `max_turns`, `aborted_streaming`, `aborted_tools`, …
    pub terminal_reason: Option<Cow<'a, str>>,
    pub errors: Vec<Cow<'a, str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultSubtype<'a> {
    Success,
    ErrorMaxTurns,
    ErrorMaxBudget,
    ErrorDuringExecution,
    ErrorMaxStructuredOutputRetries,
    Other(Cow<'a, str>),
}
