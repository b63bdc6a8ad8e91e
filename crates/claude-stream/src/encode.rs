//! Input for the CLI. Each function returns one line that ends in `\n` and contains no other line break: the CLI exits
//! on a line that is not JSON, and on the two halves of one that is.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

/// A message for the agent, which starts one turn. The CLI ignores a `uuid` that it has already seen, so it is safe to
/// send a message again after a broken connection. A message that arrives while a turn runs waits for the end of that turn
/// (`priority`): otherwise it would join a turn that the CLI started by itself, and the two would share one result.
///
/// The CLI would treat a text that starts with `/` as a command (`/clear` wipes the conversation). A newline in front
/// makes it a message.
pub fn user_message(uuid: &str, text: &str) -> String {
    let blank = |first: char| first.is_whitespace() || first == '\u{feff}'; // the characters that JavaScript's `trim` removes
    let content = match text.trim_start_matches(blank).strip_prefix('/') {
        Some(_) => &format!("\n{text}"),
        None => text,
    };
    line(&Outgoing::User { uuid, priority: "later", message: Message { role: "user", content } })
}

/// The time that the CLI waits for a hook: 23 days, because its timers hold no more than 2^31 milliseconds.
const HOOK_TIMEOUT_SECONDS: u32 = 2_000_000;

/// A control request. The CLI answers with [`AgentEvent::ControlResponse`](crate::AgentEvent::ControlResponse) under
/// the same id.
#[derive(Clone, Copy)]
pub enum ControlRequest<'a> {
    /// Sets parameters that were not known when the process started. Only the first one of a process takes effect; the
    /// CLI answers a second with success and ignores it.
    /// `hook` is the id under which the CLI asks about every call of a tool before it runs it (PreToolUse).
    Initialize { system_prompt: Option<&'a str>, json_schema: Option<&'a RawValue>, hook: Option<&'a str> },
    /// Adds environment variables for the tools that the agent starts from now on. It cannot remove one. The values are
    /// secrets: they appear in this line and nowhere else.
    ApplyFlagSettings { env: &'a BTreeMap<String, String> },
    /// Sets the model until the next `SetModel`. The CLI first asks the model API, with a request of one token, whether it
    /// has the model, once per process and model. If the API refuses, the answer is an error and the model stays as it was.
    SetModel { model: &'a str },
    /// Replaces the set of MCP servers. `servers` maps names to entries as in the CLI's configuration. The CLI ends
    /// servers that are no longer listed, starts new ones with the current environment, and connects them before the
    /// next message. Unchanged servers keep running.
    SetMcpServers { servers: &'a RawValue },
    /// Asks for the states of the MCP servers: `{"mcpServers":[{"name","status","error"?}]}`.
    McpStatus,
    /// Ends the running turn but not the process.
    Interrupt,
}

impl ControlRequest<'_> {
    /// The request as one line of input.
    pub fn to_line(&self, request_id: &str) -> String {
        let request = match *self {
            Self::Initialize { system_prompt, json_schema, hook } => Request::Initialize {
                system_prompt: system_prompt.map(|prompt| [prompt]),
                json_schema,
                hooks: hook.map(|hook| Hooks {
                    pre_tool_use: [Matcher {
                        hook_callback_ids: [hook],
                        timeout: HOOK_TIMEOUT_SECONDS,
                        on_failure: "block",
                    }],
                }),
            },
            Self::ApplyFlagSettings { env } => Request::ApplyFlagSettings { settings: Settings { env } },
            Self::SetModel { model } => Request::SetModel { model },
            Self::SetMcpServers { servers } => Request::McpSetServers { servers },
            Self::McpStatus => Request::McpStatus,
            Self::Interrupt => Request::Interrupt,
        };
        line(&Outgoing::ControlRequest { request_id, request })
    }
}

/// Prints names of variables, never their values.
impl fmt::Debug for ControlRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initialize { system_prompt, json_schema, hook } => formatter
                .debug_struct("Initialize")
                .field("system_prompt", system_prompt)
                .field("json_schema", json_schema)
                .field("hook", hook)
                .finish(),
            Self::ApplyFlagSettings { env } => {
                formatter.debug_struct("ApplyFlagSettings").field("env", &env.keys()).finish()
            }
            Self::SetModel { model } => formatter.debug_struct("SetModel").field("model", model).finish(),
            // Headers may contain secrets.
            Self::SetMcpServers { .. } => formatter.write_str("SetMcpServers"),
            Self::McpStatus => formatter.write_str("McpStatus"),
            Self::Interrupt => formatter.write_str("Interrupt"),
        }
    }
}

/// Answers `can_use_tool`: the tool runs, with this input where there is one.
pub fn allow_tool(request_id: &str, updated_input: Option<&RawValue>) -> String {
    permission(request_id, Permission::Allow { updated_input })
}

/// Answers `can_use_tool`: the tool does not run, and the agent receives the message.
pub fn deny_tool(request_id: &str, message: &str) -> String {
    permission(request_id, Permission::Deny { message })
}

/// The answer of a hook to a call of a tool.
#[derive(Clone, Copy, Debug)]
pub enum HookAnswer<'a> {
    /// The CLI decides by its own rules.
    Undecided,
    /// The tool runs, with this input where there is one.
    Allow { updated_input: Option<&'a RawValue> },
    /// The tool does not run, and the agent receives the reason.
    Deny { reason: &'a str },
}

/// Answers `hook_callback`.
pub fn hook_answer(request_id: &str, answer: HookAnswer<'_>) -> String {
    const EVENT: &str = "PreToolUse";
    let output = match answer {
        HookAnswer::Undecided => None,
        HookAnswer::Allow { updated_input } => Some(HookOutput {
            hook_event_name: EVENT,
            permission_decision: "allow",
            updated_input,
            permission_decision_reason: None,
        }),
        HookAnswer::Deny { reason } => Some(HookOutput {
            hook_event_name: EVENT,
            permission_decision: "deny",
            updated_input: None,
            permission_decision_reason: Some(reason),
        }),
    };
    let response = Decision::Hook { hook_specific_output: output };
    line(&Outgoing::ControlResponse { response: Answer { subtype: "success", request_id, response } })
}

fn permission(request_id: &str, response: Permission<'_>) -> String {
    let response = Decision::Permission(response);
    line(&Outgoing::ControlResponse { response: Answer { subtype: "success", request_id, response } })
}

fn line(outgoing: &Outgoing<'_>) -> String {
    #[expect(clippy::expect_used, reason = "strings, maps with string keys and raw JSON have no way to fail")]
    let mut line = serde_json::to_string(outgoing).expect("the messages serialise");
    // Raw JSON may span several lines. Inside strings line breaks are escaped, so these are mere white space.
    if line.contains(['\n', '\r']) {
        line = line.replace(['\n', '\r'], " ");
    }
    // JavaScript's line readers treat these as line breaks, and JSON does not escape them. They can only occur inside
    // strings.
    if line.contains(['\u{2028}', '\u{2029}']) {
        line = line.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    }
    line.push('\n');
    line
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    User { uuid: &'a str, priority: &'static str, message: Message<'a> },
    ControlRequest { request_id: &'a str, request: Request<'a> },
    ControlResponse { response: Answer<'a> },
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "subtype", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Request<'a> {
    Initialize {
        #[serde(skip_serializing_if = "Option::is_none")]
        system_prompt: Option<[&'a str; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        json_schema: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hooks: Option<Hooks<'a>>,
    },
    ApplyFlagSettings {
        settings: Settings<'a>,
    },
    SetModel {
        model: &'a str,
    },
    McpSetServers {
        servers: &'a RawValue,
    },
    McpStatus,
    Interrupt,
}

#[derive(Serialize)]
struct Settings<'a> {
    env: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    subtype: &'static str,
    request_id: &'a str,
    response: Decision<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Decision<'a> {
    Permission(Permission<'a>),
    Hook {
        #[serde(rename = "hookSpecificOutput", skip_serializing_if = "Option::is_none")]
        hook_specific_output: Option<HookOutput<'a>>,
    },
}

#[derive(Serialize)]
struct Hooks<'a> {
    #[serde(rename = "PreToolUse")]
    pre_tool_use: [Matcher<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Matcher<'a> {
    hook_callback_ids: [&'a str; 1],
    timeout: u32,
    /// An answer that the CLI cannot use keeps the tool from running.
    on_failure: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookOutput<'a> {
    hook_event_name: &'static str,
    permission_decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_decision_reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Permission<'a> {
    Allow {
        #[serde(skip_serializing_if = "Option::is_none")]
        updated_input: Option<&'a RawValue>,
    },
    Deny {
        message: &'a str,
    },
}
