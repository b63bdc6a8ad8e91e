//! The events of the CLI, one per line of its stdout.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// One decoded line. Strings borrow from the line unless they contain escapes. `parent` is the CLI's
/// `parent_tool_use_id`: the id of the tool call whose subagent produced the event, or `None` for the main
/// conversation.
#[derive(Debug, Clone)]
pub enum AgentEvent<'a> {
    /// `system`/`init`. It comes at the start of every turn, not once per process. `session_id` is the CLI's id of the
    /// conversation, which `--resume` takes.
    Init {
        session_id: Cow<'a, str>,
        model: Cow<'a, str>,
        tools: Vec<Cow<'a, str>>,
        permission_mode: Cow<'a, str>,
        version: Cow<'a, str>,
    },
    /// `system`/`status`: `requesting`, `compacting`, …; `None` when the activity is over.
    Status { status: Option<Cow<'a, str>> },
    /// `stream_event`/`message_start`.
    MessageStart { parent: Option<Cow<'a, str>>, message_id: Cow<'a, str>, model: Cow<'a, str> },
    /// `stream_event`/`content_block_start`. `index` counts from 0 within the message.
    BlockStart { parent: Option<Cow<'a, str>>, index: u32, block: BlockStart<'a> },
    /// `stream_event`/`content_block_delta`/`text_delta`.
    TextDelta { parent: Option<Cow<'a, str>>, index: u32, text: Cow<'a, str> },
    /// `stream_event`/`content_block_delta`/`thinking_delta`.
    ThinkingDelta { parent: Option<Cow<'a, str>>, index: u32, text: Cow<'a, str> },
    /// `stream_event`/`content_block_delta`/`input_json_delta`: a fragment of a tool call's input. It is not valid JSON
    /// by itself.
    InputDelta { parent: Option<Cow<'a, str>>, index: u32, partial_json: Cow<'a, str> },
    /// `stream_event`/`content_block_stop`.
    BlockStop { parent: Option<Cow<'a, str>>, index: u32 },
    /// `stream_event`/`message_delta`.
    MessageDelta { parent: Option<Cow<'a, str>>, stop_reason: Option<Cow<'a, str>> },
    /// `stream_event`/`message_stop`. `abandoned_from` marks a message that was cut short, because its connection broke or
    /// its turn was interrupted: no [`AgentEvent::Assistant`] repeats the blocks from this index on, and what their deltas
    /// said is void.
    MessageStop { parent: Option<Cow<'a, str>>, abandoned_from: Option<u32> },
    /// `assistant`: finished blocks of a message, usually one per line, after their deltas. If the CLI repeats a request
    /// without streaming, this line comes without deltas. `error` (`authentication_failed`, `rate_limit`, …) marks a
    /// message that the CLI generated to report a failed request; its model is `<synthetic>`.
    Assistant {
        parent: Option<Cow<'a, str>>,
        message_id: Cow<'a, str>,
        model: Cow<'a, str>,
        blocks: Vec<Block<'a>>,
        error: Option<Cow<'a, str>>,
    },
    /// `user` with `isReplay`: the CLI has accepted the message of this `uuid` (`--replay-user-messages`). The CLI also
    /// replays output of its own commands (such as `set_model`) under a `uuid` that it generates.
    UserReplay { uuid: Cow<'a, str> },
    /// `user` whose content contains tool results.
    ToolResults { parent: Option<Cow<'a, str>>, results: Vec<ToolResult<'a>> },
    /// Any other `user` line: a subagent's prompt, the note about an interrupt, or (`synthetic`) a prompt that the CLI
    /// generated.
    UserText { parent: Option<Cow<'a, str>>, synthetic: bool },
    /// `system`/`api_retry`: a model request failed, and the CLI repeats it after `delay_ms`. `status` is the HTTP
    /// status, or `None` if there was no response. `reason` is `authentication_failed`, `overloaded`, `rate_limit`,
    /// `unknown`, …
    ApiRetry { attempt: u32, max_retries: u32, delay_ms: f64, status: Option<u16>, reason: Cow<'a, str> },
    /// `system`/`task_started`, `task_progress`, `task_updated`, `task_notification`. The raw line has the details.
    Subagent { phase: SubagentPhase, task_id: Cow<'a, str>, tool_use_id: Option<Cow<'a, str>> },
    /// `command_lifecycle`: the message of this `uuid` is `queued`, `started`, `completed`, `cancelled`, …
    CommandLifecycle { uuid: Cow<'a, str>, state: Cow<'a, str> },
    /// `result`: the end of the turn.
    Result(TurnResult<'a>),
    /// `control_response`: the answer to the [`ControlRequest`](crate::ControlRequest) with this id. `Err` is the CLI's
    /// error message.
    ControlResponse { request_id: Cow<'a, str>, outcome: Result<Option<&'a RawValue>, String> },
    /// `control_request`: the CLI asks and waits for an answer. [`allow_tool`](crate::allow_tool) and
    /// [`deny_tool`](crate::deny_tool) answer `can_use_tool`, and [`hook_answer`](crate::hook_answer) answers `hook_callback`;
    /// [`ToolPermission`] reads both. `request` is the complete inner object.
    ControlRequest { request_id: Cow<'a, str>, subtype: Cow<'a, str>, request: &'a RawValue },
    /// `control_cancel_request`: the CLI no longer waits for the answer to the request with this id.
    ControlCancel { request_id: Cow<'a, str> },
    /// Valid JSON that is none of the above. `kind` is the path of its types (`system/thinking_tokens`,
    /// `stream_event/content_block_delta/signature_delta`), as far as they could be read. It is empty if there is no
    /// `type`.
    Unknown { kind: Cow<'a, str> },
}

/// The inner object of the requests `can_use_tool` and `hook_callback` (PreToolUse): the CLI asks before it runs a tool.
#[derive(Debug, Clone)]
pub struct ToolPermission<'a> {
    pub asker: Asker,
    pub tool: Cow<'a, str>,
    /// The id of the call. Both requests for one call have the same.
    pub tool_use_id: Option<Cow<'a, str>>,
    pub input: &'a RawValue,
    /// The CLI's words for the call: a name, and a sentence.
    pub title: Option<Cow<'a, str>>,
    pub description: Option<Cow<'a, str>>,
    /// The reason why the CLI asks: `safetyCheck` for a command that it takes for dangerous or cannot read, which it asks
    /// about even if every tool is allowed; `rule`, `mode`, …
    pub reason: Option<Cow<'a, str>>,
}

/// The part of the CLI that asks about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// `can_use_tool`: the CLI's own rules, or a tool that always asks.
    Permission,
    /// `hook_callback`: the hook that `initialize` registered.
    Hook,
}

/// The start of a content block. Its content follows in deltas.
#[derive(Debug, Clone)]
pub enum BlockStart<'a> {
    Text,
    Thinking,
    ToolUse { id: Cow<'a, str>, name: Cow<'a, str> },
    Other { kind: Cow<'a, str> },
}

/// A finished content block. `input` may nest deeper than `serde_json` parses (128 levels).
#[derive(Debug, Clone)]
pub enum Block<'a> {
    Text { text: Cow<'a, str> },
    Thinking { text: Cow<'a, str> },
    ToolUse { id: Cow<'a, str>, name: Cow<'a, str>, input: &'a RawValue },
    Other { kind: Cow<'a, str> },
}

/// The result of a tool call. `content` is text: a string is unchanged, text blocks are joined with newlines, and any
/// other block becomes a marker with its type (`[image]`).
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

/// The end of a turn. Check `is_error`, never `subtype` alone: a failed model request ends as
/// [`ResultSubtype::Success`] with `is_error` and `api_error_status`. A field that is missing or does not fit takes its
/// default and does not make the line unknown, because without this event a turn would never end.
#[derive(Debug, Clone)]
pub struct TurnResult<'a> {
    pub subtype: ResultSubtype<'a>,
    /// Defaults to true unless `subtype` is `success`.
    pub is_error: bool,
    pub api_error_status: Option<u16>,
    /// The answer, or the message of a failed model request. The `error_*` subtypes have no result.
    pub result: Option<Cow<'a, str>>,
    pub structured_output: Option<&'a RawValue>,
    pub session_id: Cow<'a, str>,
    pub num_turns: u32,
    /// US dollars, cumulative over the process.
    pub total_cost_usd: Option<f64>,
    pub duration_ms: u64,
    /// `completed`, `max_turns`, `aborted_streaming`, `aborted_tools`, …
    pub terminal_reason: Option<Cow<'a, str>>,
    /// The origin of a turn that no message on stdin asked for: `task-notification` for work in the background that ended,
    /// `peer` for a message of another process.
    pub origin: Option<Cow<'a, str>>,
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
