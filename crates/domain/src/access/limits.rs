//! What the tasks of one API key may use.

use serde::{Deserialize, Serialize};

use crate::usage::Cost;

/// Nothing set means no limit. A task keeps the limits that its key had when it was submitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyLimits {
    /// Models that tasks may name; the agent's own requests are held to it too.
    pub models: Option<Vec<String>>,
    /// The most that one model request may ask for (`max_tokens`).
    pub max_output_tokens: Option<u32>,
    pub max_task_cost: Option<Cost>,
    pub max_session_cost: Option<Cost>,
    /// A day begins at midnight UTC.
    pub max_day_cost: Option<Cost>,
    pub max_total_cost: Option<Cost>,
}
