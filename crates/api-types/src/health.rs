//! Is the server alive, and can it run tasks?

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The product's name in `GET /health`, by which its tools recognise a server.
pub const NAME: &str = "claude-runner";

/// The members after `name` are missing for a caller without a key, where the server has keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[schema(inline)]
    pub status: HealthStatus,
    #[schema(schema_with = crate::schema::always_true)]
    pub ok: bool,
    #[schema(schema_with = crate::schema::product_name)]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub version: Option<String>,
    /// Also missing until `claude --version` has run in the image
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub claude_code: Option<ClaudeCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sessions: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tasks: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub active_tasks: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub running: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub sandboxes: Option<SandboxCounts>,
    /// The credential of the server's model requests
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub credential: Option<ModelCredential>,
}

/// `scripted`: the scripted model answers, not Claude. `login`: the login of Claude Code on the server's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelCredential {
    ApiKey,
    OauthToken,
    Login,
    LoginExpired,
    Scripted,
    None,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    Ok,
}

/// The Claude Code in the agent image, as its program reports itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaudeCode {
    pub version: String,
    #[schema(inline)]
    pub support: ClaudeCodeSupport,
}

/// `tested`: this release was tested with it. `untested`: it can be used. `too_old`: tasks do not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaudeCodeSupport {
    Tested,
    Untested,
    TooOld,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxCounts {
    pub warm: usize,
    pub live: usize,
    pub waiting: usize,
    pub max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    pub ready: bool,
    /// Missing for a caller without a key, where the server has keys
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub checks: Option<Vec<Check>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}
