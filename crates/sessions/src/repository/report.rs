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

/// The most of a summary that is kept. A forge takes 65,536 characters in all for the text of a pull request.
const MAX_SUMMARY_CHARS: usize = 20_000;

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
        if let Some((end, _)) = report.summary.char_indices().nth(MAX_SUMMARY_CHARS) {
            report.summary.truncate(end);
        }
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX_SUMMARY_CHARS, WorkReport};

    #[test]
    fn a_long_summary_is_cut() {
        let report = |summary: String| json!({ "title": "t", "summary": summary, "checks": [], "blockers": " " });
        let long = WorkReport::read(&report("é".repeat(MAX_SUMMARY_CHARS + 1))).unwrap();
        assert_eq!((long.summary, long.blockers), ("é".repeat(MAX_SUMMARY_CHARS), None));
    }
}
