//! What the CLI is told. Each function gives one line that ends in `\n` and holds no other: a line that is not JSON ends
//! the process, and so would the two halves of one.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

/// A message for the agent, one turn's beginning. A `uuid` that the CLI has seen before is ignored by it, so that sending
/// again after a broken connection is safe.
///
/// A text that begins with `/` would be taken as a command of the CLI (`/clear` wipes the conversation); a newline before
/// it makes it a message.
pub fn user_message(uuid: &str, text: &str) -> String {
    let blank = |first: char| first.is_whitespace() || first == '\u{feff}'; // what JavaScript's `trim` takes away
    let content = match text.trim_start_matches(blank).strip_prefix('/') {
        Some(_) => &format!("\n{text}"),
        None => text,
    };
    line(&Outgoing::User { uuid, message: Message { role: "user", content } })
}

/// What the CLI can be asked beside messages; it answers with
/// [`AgentEvent::ControlResponse`](crate::AgentEvent::ControlResponse) under the same id.
#[derive(Clone, Copy)]
pub enum ControlRequest<'a> {
    /// Sets what could not be known when the process was started. Only the first one of a process counts; a second is
    /// answered with success and ignored.
    Initialize { system_prompt: Option<&'a str>, json_schema: Option<&'a RawValue> },
    /// Adds environment variables for the tools the agent starts from now on. It cannot take one away. The values are
    /// secrets: they are in the line and nowhere else.
    ApplyFlagSettings { env: &'a BTreeMap<String, String> },
    /// Holds until the next one. The CLI accepts any name.
    SetModel { model: &'a str },
    /// The MCP servers that there are from now on, by name, as in the CLI's configuration: others end, new ones are started
    /// with the environment of this moment and connected before the next message. What does not change stays as it is.
    SetMcpServers { servers: &'a RawValue },
    /// Ends the running turn, not the process.
    Interrupt,
}

impl ControlRequest<'_> {
    pub fn to_line(&self, request_id: &str) -> String {
        let request = match *self {
            Self::Initialize { system_prompt, json_schema } => {
                Request::Initialize { system_prompt: system_prompt.map(|prompt| [prompt]), json_schema }
            }
            Self::ApplyFlagSettings { env } => Request::ApplyFlagSettings { settings: Settings { env } },
            Self::SetModel { model } => Request::SetModel { model },
            Self::SetMcpServers { servers } => Request::McpSetServers { servers },
            Self::Interrupt => Request::Interrupt,
        };
        line(&Outgoing::ControlRequest { request_id, request })
    }
}

/// Names of variables only, never their values.
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
            // Headers hold secrets.
            Self::SetMcpServers { .. } => formatter.write_str("SetMcpServers"),
            Self::Interrupt => formatter.write_str("Interrupt"),
        }
    }
}

/// Answers `can_use_tool`: the tool runs, with this input.
pub fn allow_tool(request_id: &str, updated_input: &RawValue) -> String {
    permission(request_id, Permission::Allow { updated_input })
}

/// Answers `can_use_tool`: the tool does not run, and the agent is told why.
pub fn deny_tool(request_id: &str, message: &str) -> String {
    permission(request_id, Permission::Deny { message })
}

fn permission(request_id: &str, response: Permission<'_>) -> String {
    line(&Outgoing::ControlResponse { response: Answer { subtype: "success", request_id, response } })
}

fn line(outgoing: &Outgoing<'_>) -> String {
    #[expect(clippy::expect_used, reason = "strings, maps with string keys and raw JSON have no way to fail")]
    let mut line = serde_json::to_string(outgoing).expect("the messages serialise");
    // Outside strings, which hold these escaped, raw JSON may be written over several lines; there they are mere blanks.
    if line.contains(['\n', '\r']) {
        line = line.replace(['\n', '\r'], " ");
    }
    // Line ends for JavaScript's line readers, and not escaped by JSON. They can only be inside strings.
    if line.contains(['\u{2028}', '\u{2029}']) {
        line = line.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    }
    line.push('\n');
    line
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    User { uuid: &'a str, message: Message<'a> },
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
