//! Every error: `application/problem+json` (RFC 9457).

use domain::session::SessionId;
use domain::task::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ask::Ask;
use crate::nullable::Nullable;
use crate::task::{ErrorType, TaskStatus, Usage};

/// RFC 9457. The problem of a failed task also has the members of an answer; its `status` is then the status of the task, which
/// `taskStatus` repeats, and `httpStatus` has the status of the response
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[schema(inline)]
    pub status: ProblemStatus,
    pub detail: String,
    #[schema(pattern = "^[a-z_]+$")]
    pub code: String,
    pub retryable: bool,
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub task_id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub session_id: Option<SessionId>,
    // The members of an answer are described there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub output: Option<Nullable<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub response: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub cost: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub cli_cost: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub duration: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub tools: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub resumed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub price_assumed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_type: Option<ErrorType>,
    /// The status of the task, as in `status`. Only a failed task has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub task_status: Option<TaskStatus>,
    /// The status of the response. Only a failed task has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub http_status: Option<u16>,
    /// The ask that has ended already, with what was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ask: Option<Box<Ask>>,
}

/// The HTTP status; of a task that failed while its caller waited, the task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ProblemStatus {
    Http(u16),
    Task(TaskStatus),
}
