//! Records as the API shows them.

use axum::body::Bytes;
use domain::session::SessionRecord;
use domain::task::{TaskRecord, TaskStatus};
use jiff::Timestamp;
use serde_json::{Value, json};
use sessions::session::{Changed, SessionView, Status};

/// A time as the wire has it: RFC 3339 in UTC with milliseconds.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A task for `GET /task/:id` and `GET /tasks`.
pub fn task(record: &TaskRecord) -> Value {
    // Of a task whose work is still being handed in, the end is not told yet.
    let failure = record.failure.as_ref().filter(|_| record.status.is_final());
    let mut view = json!({
        "id": record.id,
        "taskId": record.id,
        "sessionId": record.session_id,
        "kind": record.kind(),
        "status": record.status,
        "prompt": record.request.message,
        "context": record.request.context,
        "model": record.request.model,
        "maxTurns": record.request.max_turns,
        "timeoutMs": record.request.timeout_ms,
        "maxCostUsd": record.request.max_cost_usd,
        "metadata": record.request.metadata,
        "created": time(record.created),
        "started": record.started.map(time),
        "finished": record.finished.map(time),
        "error": failure.map(|failure| &failure.error),
        "errorType": failure.map(|failure| failure.error_type),
        "pr_url": null,
    });
    if let (Some(progress), Value::Object(view)) = (&record.repository, &mut view) {
        view.insert("stage".to_owned(), json!(progress.stage));
        view.insert("repo".to_owned(), json!(progress.repo));
        view.insert("branch".to_owned(), json!(progress.branch));
        view.insert("pr_url".to_owned(), json!(progress.pull_url));
        view.insert("summary".to_owned(), json!(progress.summary));
    }
    let answer = record.answer.as_ref().filter(|_| record.status.is_final());
    if let (Some(answer), Value::Object(view)) = (answer, &mut view) {
        view.insert("cost".to_owned(), json!(answer.cost));
        view.insert("cliCost".to_owned(), json!(answer.cli_cost));
        view.insert("duration".to_owned(), json!(answer.duration));
        view.insert("tools".to_owned(), json!(answer.tools));
        view.insert("resumed".to_owned(), json!(answer.resumed));
        view.insert("usage".to_owned(), json!(answer.usage));
        if record.status == TaskStatus::Completed {
            view.insert("output".to_owned(), json!(answer.output));
            view.insert("response".to_owned(), json!(answer.response));
        }
    }
    view
}

/// A session for `GET /sessions`, from its record and what its worker last said.
pub(super) fn session(record: &SessionRecord, status: Status) -> Value {
    json!({
        "sessionId": record.id,
        "agent": record.agent,
        "created": time(record.created),
        "lastActive": time(record.last_active),
        "turns": record.turns,
        "busy": status.busy,
        "queued": status.queued,
        "state": status.state,
        "seq": record.last_seq,
        "sdkSessionId": record.claude_session_id,
    })
}

/// A change for `GET /watch`: a record as the lists have it, or what is left of a session.
pub(super) fn changed(changed: &Changed<'_>) -> Bytes {
    let view = match changed {
        Changed::Task(record) => task(record),
        Changed::Session(record, status, seq) => {
            let mut view = session(record, *status);
            // The record has it as it was when the worker began.
            view["seq"] = json!(seq);
            view
        }
        Changed::SessionDeleted(id) => json!({ "sessionId": id }),
    };
    view.to_string().into()
}

/// A session for `GET /session/:id`, as its worker sees it.
pub(super) fn session_details(view: &SessionView) -> Value {
    json!({
        "sessionId": view.id,
        "agent": view.agent,
        "created": time(view.created),
        "lastActive": time(view.last_active),
        "turns": view.turns,
        "busy": view.busy,
        "queued": view.queued,
        "state": view.state,
        "seq": view.last_seq,
        "sdkSessionId": view.claude_session_id,
        "credential": if view.own_credential { "session" } else { "operator" },
    })
}

#[cfg(test)]
mod tests;
