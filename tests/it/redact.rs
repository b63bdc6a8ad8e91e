//! Makes answers and events comparable: each value that differs between runs is replaced by its name.

use serde_json::{Value, json};

/// Fields with ids, with times, or that depend on the CLI's version.
const VARYING: [&str; 25] = [
    "claudeSessionId",
    "cliCost",
    "created",
    "duration",
    "end_time",
    "epoch",
    "finished",
    "id",
    "lastActive",
    "parentToolUseId",
    "sdkSessionId",
    "session_id",
    "started",
    "task_id",
    "taskId",
    "run_id",
    "tool_use_id",
    "toolUseId",
    "ts",
    "uuid",
    "duration_ms",
    "total_tokens",
    "output_file",
    "parent_tool_use_id",
    "timestamp",
];

pub(crate) fn redacted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let varies = VARYING.contains(&name.as_str()) && !value.is_null();
                (name.clone(), if varies { json!(format!("[{name}]")) } else { redacted(value) })
            })
            .collect(),
        other => other.clone(),
    }
}

/// Returns one line for each event, so that a changed event is a changed line.
pub(crate) fn lines(events: &[Value]) -> String {
    let lines: Vec<String> = events.iter().map(|event| redacted(event).to_string()).collect();
    lines.join("\n")
}
