//! `agent.toml`: what holds for one agent and not for all.

mod file;

use std::collections::BTreeMap;
use std::path::Path;

use domain::egress::EgressRule;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::TemplateError;

/// The file's name in a template. It is the operator's, and not copied into workspaces.
pub(super) const FILE: &str = "agent.toml";

/// Of a template without the file: nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentSettings {
    /// For sessions that name no agent.
    pub is_default: bool,
    pub description: Option<String>,
    /// For tasks that name none.
    pub model: Option<String>,
    /// Of `model` in the file: line and column.
    model_at: (usize, usize),
    /// For tasks that do not say.
    pub max_turns: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub max_cost_usd: Option<f64>,
    pub permission_mode: PermissionMode,
    /// Hosts that this agent may reach besides those of EGRESS_ALLOW.
    pub egress: Vec<EgressRule>,
    /// Variables without which no task begins.
    pub env: Vec<String>,
    pub mcp_servers: BTreeMap<String, McpServer>,
}

/// What Claude Code does about a tool call that no rule allows. Nobody is there to be asked, so a question is a no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// The sandbox is the boundary.
    #[default]
    BypassPermissions,
    AcceptEdits,
    Default,
    DontAsk,
    Plan,
}

/// As Claude Code's configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum McpServer {
    /// A program in the sandbox that speaks MCP on its stdin and stdout. It has the session's `env`.
    Stdio { command: String, args: Vec<String> },
    /// Reached through the gateway, where that lets it out. `${NAME}` in a header stands for a variable of the session's `env`.
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
    /// Those of a template's directory.
    pub(super) fn load(directory: &Path) -> Result<Self, TemplateError> {
        let path = directory.join(FILE);
        match super::read_optional(&path)? {
            Some(text) => file::parse(&text).map_err(|mistake| mistake.in_file(&path)),
            None => Ok(AgentSettings::default()),
        }
    }

    /// What is wrong where the file names a model that has no price.
    pub(super) fn check_model(
        &self,
        directory: &Path,
        knows_model: impl Fn(&str) -> bool,
    ) -> Result<(), TemplateError> {
        match &self.model {
            Some(model) if !knows_model(model) => {
                let (line, column) = self.model_at;
                let reason = format!("model: {model:?} is not known here; MODEL_PRICES can add it");
                Err(TemplateError::Settings { path: directory.join(FILE), line, column, reason })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The MCP servers by name, with what `env` has filled in: a secret then. `None` where there are none.
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

/// Replaces each `${NAME}` by its value, once: what a value holds is not looked at again. One that is not there stays.
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
