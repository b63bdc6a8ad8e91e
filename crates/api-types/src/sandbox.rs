//! Sandboxes that run now, and their usage.

use domain::session::SessionId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sandboxes {
    #[schema(inline)]
    pub engine: EngineSummary,
    #[schema(inline)]
    pub sandboxes: Vec<Sandbox>,
    #[schema(inline)]
    pub pool: Pool,
    #[schema(inline)]
    pub queue: Queue,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineSummary {
    pub version: String,
    pub api_version: String,
    pub cpus: u64,
    pub memory_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    #[schema(value_type = Option<String>, required)]
    pub session_id: Option<SessionId>,
    #[schema(schema_with = crate::schema::sandbox_state)]
    pub state: String,
    #[schema(required)]
    pub started: Option<String>,
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    /// of one CPU, since it was asked before
    #[schema(required)]
    pub cpu_percent: Option<f64>,
    pub processes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    pub warm: usize,
    pub live: usize,
    pub max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    pub waiting_sessions: usize,
    pub queued_tasks: usize,
}
