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

/// A control request. The CLI answers with [`AgentEvent::ControlResponse`](crate::AgentEvent::ControlResponse) under
/// the same id.
#[derive(Clone, Copy)]
pub enum ControlRequest<'a> {
    /// Sets parameters that were not known when the process started. Only the first one of a process takes effect; the
    /// CLI answers a second with success and ignores it.
    Initialize { system_prompt: Option<&'a str>, json_schema: Option<&'a RawValue> },
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
            Self::Initialize { system_prompt, json_schema } => {
                Request::Initialize { system_prompt: system_prompt.map(|prompt| [prompt]), json_schema }
            }
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
            Self::Initialize { system_prompt, json_schema } => formatter
                .debug_struct("Initialize")
                .field("system_prompt", system_prompt)
                .field("json_schema", json_schema)
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

/// Answers `can_use_tool`: the tool runs with this input.
pub fn allow_tool(request_id: &str, updated_input: &RawValue) -> String {
    permission(request_id, Permission::Allow { updated_input })
}

/// Answers `can_use_tool`: the tool does not run, and the agent receives the message.
pub fn deny_tool(request_id: &str, message: &str) -> String {
    permission(request_id, Permission::Deny { message })
}

fn permission(request_id: &str, response: Permission<'_>) -> String {
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
    response: Permission<'a>,
}

#[derive(Serialize)]
#[serde(tag = "behavior", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Permission<'a> {
    Allow { updated_input: &'a RawValue },
    Deny { message: &'a str },
}
