//! The limits of one API key.

use serde::{Deserialize, Serialize};

use crate::usage::Cost;

/// Limits on the tasks of one API key. `None` means no limit. A task keeps the limits that its key had at submission.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyLimits {
    /// Models that tasks may name. The gateway applies the list to the agent's own requests too.
    pub models: Option<Vec<String>>,
    /// The maximum `max_tokens` of one model request.
    pub max_output_tokens: Option<u32>,
    pub max_task_cost: Option<Cost>,
    pub max_session_cost: Option<Cost>,
    /// A day starts at midnight UTC.
    pub max_day_cost: Option<Cost>,
    pub max_total_cost: Option<Cost>,
}
