//! Records as the API shows them.

use api_types::ask::Ask;
use api_types::change::SessionGone;
use api_types::session::{CredentialSource, Session};
use api_types::task::{Task, TaskKind};
use api_types::{Nullable, time::Time};
use axum::body::Bytes;
use domain::task::{TaskRecord, TaskStatus};
use serde::Serialize;
use serde_json::Value;
use sessions::session::{Changed, SessionView, Status};
use store::{Answers, LISTED_CHARS, SessionSummary};

/// A task for `GET /task/:id`, with all members.
pub(super) fn task(record: &TaskRecord) -> Task {
    let completed = record.answer.as_ref().filter(|_| record.status == TaskStatus::Completed);
    Task {
        prompt: record.request.message.clone(),
        context: record.request.context.clone(),
        truncated: None,
        output: completed.map(|answer| Nullable(answer.output.clone())),
        response: completed.map(|answer| Nullable(answer.response.clone())),
        ..facts(record)
    }
}

/// A task for `GET /tasks` and `GET /watch`: long texts are cut, so that a list has a bounded size.
pub(super) fn listed(record: &TaskRecord, answers: Answers) -> Task {
    let (prompt, prompt_is_cut) = cut(&record.request.message);
    let context = record.request.context.as_deref().map(cut);
    let context_is_cut = context.is_some_and(|(_, is_cut)| is_cut);
    let whole = match answers {
        Answers::Short => None,
        Answers::Whole => record.answer.as_ref().filter(|_| record.status == TaskStatus::Completed),
    };
    let mut facts = facts(record);
    let mut is_cut = prompt_is_cut || context_is_cut;
    for text in [facts.error.as_mut(), facts.summary.as_mut().and_then(|summary| summary.0.as_mut())] {
        is_cut |= text.is_some_and(shorten);
    }
    is_cut |= facts.tools.as_mut().is_some_and(shorten_list);
    Task {
        prompt: prompt.to_owned(),
        context: context.map(|(text, _)| text.to_owned()),
        truncated: is_cut.then_some(true),
        output: whole.map(|answer| Nullable(answer.output.clone())),
        response: whole.map(|answer| Nullable(answer.response.clone())),
        ..facts
    }
}

/// The first characters of a text, and true if it has more.
fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(LISTED_CHARS) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// Cuts a text like [`cut`]. Returns true if it was longer.
fn shorten(text: &mut String) -> bool {
    let end = text.char_indices().nth(LISTED_CHARS).map(|(end, _)| end);
    end.inspect(|end| text.truncate(*end)).is_some()
}

/// Cuts a list so that its texts together are not longer than [`cut`] leaves one. Returns true if it was longer.
fn shorten_list(texts: &mut Vec<String>) -> bool {
    let mut chars = 0;
    let end = texts.iter().position(|text| {
        chars += text.chars().count();
        chars > LISTED_CHARS
    });
    end.inspect(|end| texts.truncate(*end)).is_some()
}

/// The members of a task besides its texts.
fn facts(record: &TaskRecord) -> Task {
    // The end is not shown while the work of the task is still being handed in.
    let failure = record.failure.as_ref().filter(|_| record.status.is_final());
    let answer = record.answer.as_ref().filter(|_| record.status.is_final());
    let progress = record.repository.as_ref();
    Task {
        id: record.id.clone(),
        task_id: record.id.clone(),
        session_id: record.session_id.clone(),
        kind: if progress.is_some() { TaskKind::Repository } else { TaskKind::Session },
        status: record.status.into(),
        prompt: String::new(),
        context: None,
        truncated: None,
        model: record.request.model.clone(),
        scripted: record.request.scripted.then_some(true),
        max_turns: record.request.max_turns,
        timeout_ms: record.request.timeout_ms,
        max_cost_usd: record.request.max_cost_usd,
        metadata: record.request.metadata.clone(),
        created: record.created.into(),
        started: record.started.map(Time),
        finished: record.finished.map(Time),
        error: failure.map(|failure| failure.error.clone()),
        error_type: failure.map(|failure| failure.error_type.into()),
        pr_url: progress.and_then(|progress| progress.pull_url.clone()),
        stage: progress.map(|progress| Nullable(progress.stage.map(Into::into))),
        repo: progress.map(|progress| Nullable(progress.repo.clone())),
        branch: progress.map(|progress| Nullable(progress.branch.clone())),
        summary: progress.map(|progress| Nullable(progress.summary.clone())),
        cost: answer.map(|answer| answer.cost),
        cli_cost: answer.map(|answer| answer.cli_cost),
        duration: answer.map(|answer| answer.duration),
        tools: answer.map(|answer| answer.tools.clone()),
        resumed: answer.map(|answer| answer.resumed),
        usage: answer.map(|answer| answer.usage.into()),
        price_assumed: answer.filter(|answer| answer.price_assumed).map(|_| true),
        output: None,
        response: None,
        waiting: record.waiting.then_some(true),
        asks: None,
    }
}

/// A task as `task` shows it, for the body of a webhook.
pub fn show_task(record: &TaskRecord) -> Value {
    // Every member is text, a number or JSON already.
    serde_json::to_value(task(record)).unwrap_or_default()
}

/// A session for `GET /sessions`, from its record and the last status of its worker.
pub(super) fn session(record: &SessionSummary, status: Status) -> Session {
    Session {
        session_id: record.id.clone(),
        agent: record.agent.clone(),
        created: record.created.into(),
        last_active: record.last_active.into(),
        turns: record.turns,
        busy: status.busy,
        queued: status.queued,
        state: status.state.to_owned(),
        seq: record.last_seq,
        sdk_session_id: record.claude_session_id.clone(),
        credential: None,
        epoch: record.epoch,
    }
}

/// A session for `GET /session/:id`, as its worker sees it.
pub(super) fn session_details(view: &SessionView) -> Session {
    Session {
        session_id: view.id.clone(),
        agent: view.agent.clone(),
        created: view.created.into(),
        last_active: view.last_active.into(),
        turns: view.turns,
        busy: view.busy,
        queued: view.queued,
        state: view.state.to_owned(),
        seq: view.last_seq,
        sdk_session_id: view.claude_session_id.clone(),
        credential: Some(if view.own_credential { CredentialSource::Session } else { CredentialSource::Operator }),
        epoch: view.epoch,
    }
}

/// A change for `GET /watch`: a record as the lists have it, or the id of a session that was deleted.
pub(super) fn changed(changed: &Changed<'_>) -> Bytes {
    match changed {
        Changed::Task(record) => json(&listed(record, Answers::Short)),
        Changed::Ask(record) => json(&Ask::from(*record)),
        // The record has the number from the start of the worker.
        Changed::Session(record, status, seq) => json(&Session { seq: *seq, ..session(&(*record).into(), *status) }),
        Changed::SessionDeleted(id) => json(&SessionGone { session_id: (*id).clone() }),
    }
}

fn json(value: &impl Serialize) -> Bytes {
    text(value).into()
}

/// A value of the wire as JSON.
pub(super) fn text(value: &impl Serialize) -> String {
    // Every member is text, a number or JSON already, and writing to memory does not fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
