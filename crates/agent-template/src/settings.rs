//! `agent.toml`: the settings of one agent.

mod file;

use std::collections::BTreeMap;
use std::path::Path;

use domain::egress::EgressRule;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::TemplateError;

/// The name of the file in a template. It belongs to the operator and is not copied into workspaces.
pub(super) const FILE: &str = "agent.toml";

/// The settings of an agent. A template without the file has the default ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentSettings {
    /// The agent is the default for sessions that name none.
    pub is_default: bool,
    pub description: Option<String>,
    /// The model of tasks that name none.
    pub model: Option<String>,
    /// The limits of tasks that set none: turns, milliseconds and US dollars.
    pub max_turns: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub max_cost_usd: Option<f64>,
    pub permission_mode: PermissionMode,
    /// Hosts that this agent may reach in addition to EGRESS_ALLOW.
    pub egress: Vec<EgressRule>,
    /// Variables that must be set before a task starts.
    pub env: Vec<String>,
    pub mcp_servers: BTreeMap<String, McpServer>,
}

/// Claude Code's behaviour for a tool call that no rule allows. Nobody can answer a question, so asking means denying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// Every tool call is allowed. The sandbox is the boundary.
    #[default]
    BypassPermissions,
    AcceptEdits,
    Default,
    DontAsk,
    Plan,
}

/// An MCP server, in the format of Claude Code's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum McpServer {
    /// A program in the sandbox that speaks MCP on its stdin and stdout. Its environment contains the session's `env`.
    Stdio { command: String, args: Vec<String> },
    /// A server that is reached through the gateway, if the gateway allows it. `${NAME}` in a header stands for a
    /// variable of the session's `env`.
    Http { url: String, headers: BTreeMap<String, String> },
}

impl PermissionMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            PermissionMode::BypassPermissions => "bypassPermissions",
            PermissionMode::AcceptEdits => "acceptEdits",
            PermissionMode::Default => "default",
            PermissionMode::DontAsk => "dontAsk",
            PermissionMode::Plan => "plan",
        }
    }
}

impl AgentSettings {
    /// Reads the settings of a template.
    pub(super) fn load(directory: &Path) -> Result<Self, TemplateError> {
        let path = directory.join(FILE);
        match super::read_optional(&path)? {
            Some(text) => file::parse(&text).map_err(|mistake| mistake.in_file(&path)),
            None => Ok(AgentSettings::default()),
        }
    }

    /// The MCP servers by name, with variables replaced. The result may contain secrets. `None` if there are no
    /// servers.
    pub fn mcp_config(&self, env: &BTreeMap<String, String>) -> Option<Box<RawValue>> {
        if self.mcp_servers.is_empty() {
            return None;
        }
        let filled = self.mcp_servers.iter().map(|(name, server)| (name, server.filled(env)));
        to_raw_value(&filled.collect::<BTreeMap<_, _>>()).ok()
    }
}

impl McpServer {
    fn filled(&self, env: &BTreeMap<String, String>) -> McpServer {
        match self {
            McpServer::Stdio { .. } => self.clone(),
            McpServer::Http { url, headers } => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), fill(value, env))).collect();
                McpServer::Http { url: url.clone(), headers }
            }
        }
    }
}

/// Replaces each `${NAME}` with its value, once: values are not expanded again. An unknown name stays as it is.
fn fill(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let found = after.split_once('}').and_then(|(name, after)| Some((env.get(name)?.as_str(), after)));
        let (value, after) = found.unwrap_or(("${", after));
        filled.push_str(value);
        rest = after;
    }
    filled + rest
}
