//! The agents that a session can have.

use domain::agent::AgentName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// for `agent` of a task
    #[schema(value_type = String)]
    pub name: AgentName,
    #[schema(required)]
    pub description: Option<String>,
    /// of sessions that name none
    pub default: bool,
    /// for tasks that name none
    pub model: String,
    /// for tasks that do not say
    #[schema(minimum = 1)]
    pub max_turns: u32,
    /// for tasks that do not say
    #[schema(minimum = 1)]
    pub timeout_ms: u64,
    /// for tasks that do not say
    #[schema(required)]
    pub max_cost_usd: Option<f64>,
    #[schema(inline)]
    pub permission_mode: PermissionMode,
    /// variables without which no task begins
    pub env: Vec<String>,
    pub mcp_servers: Vec<String>,
    /// the problem of its template: file, line and a suggestion
    #[schema(required)]
    pub error: Option<String>,
    /// files of its template that do not work in a sandbox, a sentence for each
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The treatment of a tool call that no rule allows, in Claude Code's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    BypassPermissions,
    AcceptEdits,
    Default,
    DontAsk,
    Plan,
    #[serde(other, skip_serializing)]
    Unknown,
}
