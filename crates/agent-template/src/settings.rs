//! `agent.toml`: the settings of one agent.

mod asks;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use domain::ask::AskPolicy;
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
    /// The table `[asks]`. `None`: nothing is asked, and questions are denied.
    pub asks: Option<AskPolicy>,
}

/// Claude Code's behaviour for a tool call that no rule allows. Without a table `[asks]` nobody can answer a question, so that
/// asking means denying.
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

/// An MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpServer {
    pub transport: McpTransport,
    /// The time that the first task waits for the server.
    pub startup_timeout: Duration,
    /// A task fails if the server cannot be used.
    pub required: bool,
}

/// The way to an MCP server, in the format of Claude Code's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum McpTransport {
    /// A program in the sandbox that speaks MCP on its stdin and stdout. Its environment contains the session's `env`.
    Stdio { command: String, args: Vec<String> },
    /// A server that is reached through the gateway, if the gateway allows it. `${NAME}` in a header stands for a
    /// variable of the session's `env`.
    Http { url: String, headers: BTreeMap<String, String> },
}

/// MCP servers that start at the same time.
#[derive(Debug)]
pub struct McpStage {
    pub startup_timeout: Duration,
    /// The servers of this stage and of all stages before, by name. They may contain secrets.
    pub servers: Box<RawValue>,
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
        match super::text::read_optional(&path)? {
            Some(text) => file::parse(&text).map_err(|mistake| mistake.in_file(&path)),
            None => Ok(AgentSettings::default()),
        }
    }

    /// The MCP servers, with variables replaced, in the order in which they start: those with the shortest time limit first.
    pub fn mcp_stages(&self, env: &BTreeMap<String, String>) -> Vec<McpStage> {
        let limits: BTreeSet<Duration> = self.mcp_servers.values().map(|server| server.startup_timeout).collect();
        let stage = |startup_timeout: Duration| {
            let started = self.mcp_servers.iter().filter(|(_, server)| server.startup_timeout <= startup_timeout);
            let filled: BTreeMap<_, _> = started.map(|(name, server)| (name, server.transport.filled(env))).collect();
            Some(McpStage { startup_timeout, servers: to_raw_value(&filled).ok()? })
        };
        limits.into_iter().filter_map(stage).collect()
    }
}

impl McpTransport {
    fn filled(&self, env: &BTreeMap<String, String>) -> McpTransport {
        match self {
            McpTransport::Stdio { .. } => self.clone(),
            McpTransport::Http { url, headers } => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), fill(value, env))).collect();
                McpTransport::Http { url: url.clone(), headers }
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
