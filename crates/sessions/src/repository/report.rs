//! The final report of the agent in the clone.

use serde::Deserialize;
use serde_json::Value;

pub(crate) const REPORT_SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "title": { "type": "string" },
        "summary": { "type": "string" },
        "checks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": { "command": { "type": "string" }, "passed": { "type": "boolean" } },
                "required": ["command", "passed"]
            }
        },
        "blockers": { "type": ["string", "null"] }
    },
    "required": ["title", "summary", "checks", "blockers"],
    "additionalProperties": false
}"#;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct WorkReport {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) checks: Vec<WorkCheck>,
    pub(crate) blockers: Option<String>,
}

/// A command of the project that the agent ran.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct WorkCheck {
    pub(crate) command: String,
    pub(crate) passed: bool,
}

impl WorkReport {
    /// `None`: the output is no report. Blank blockers count as none.
    pub(crate) fn read(output: &Value) -> Option<Self> {
        let mut report = WorkReport::deserialize(output).ok()?;
        report.blockers.take_if(|blockers| blockers.trim().is_empty());
        Some(report)
    }
}
