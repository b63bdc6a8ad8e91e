//! What can be written: a list of changes, applied all or not at all.

use bytes::Bytes;
use domain::event::StoredEvent;
use domain::session::{SessionKey, SessionRecord};
use domain::task::{TaskId, TaskRecord};
use domain::usage::{Charge, CliCharge, OpenRequest};
use domain::webhook::{Attempted, Target, WebhookId};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub enum Change {
    InsertSession(SessionRecord),
    /// Replaces the record, `env` included, except what other changes move: `last_seq` stays as it is, and so do
    /// `last_frame` and `progress` of the sandbox while it is the same one.
    UpdateSession(SessionRecord),
    /// The session, its `env`, its events and lines. Its tasks' records stay, with status, times, cost and failure, but
    /// without what was said: no message, context, metadata, output or response.
    DeleteSession(SessionKey),
    InsertTask {
        record: TaskRecord,
        /// Of the message given to the agent: a prompt sent twice with one `uuid` runs once.
        prompt_uuid: Uuid,
        idempotency: Option<IdempotencyKey>,
    },
    /// Replaces status, attempt, times, answer and failure. What was asked for is fixed when the task is inserted.
    UpdateTask(TaskRecord),
    /// Events of one task, or of none. Their numbers go on where the session's newest one ended.
    AppendEvents {
        session: SessionKey,
        task: Option<TaskId>,
        events: Vec<StoredEvent>,
    },
    /// What came out of the sandbox up to this frame is in the store, the changes of this list included.
    MoveSandbox {
        session: SessionKey,
        last_frame: u64,
        progress: String,
    },
    /// The CLI's own stdout lines without deltas, for `GET /task/:id/logs`.
    AppendLines {
        session: SessionKey,
        task: TaskId,
        lines: Vec<Bytes>,
    },
    /// A model request is about to be sent.
    OpenRequest(OpenRequest),
    /// An open request came to this. Does nothing where it is not open.
    SettleRequest {
        id: u64,
        charge: Charge,
    },
    /// Settles every open request by its estimate: nobody is left who could know better.
    ChargeOpenRequests,
    /// What the CLI says that a task cost.
    AddCliCharge(CliCharge),
    /// Where the end of this task is to be told. The change that ends it makes it due.
    InsertWebhook {
        id: WebhookId,
        task: TaskRecord,
        target: Target,
    },
    AttemptedWebhook(Attempted),
    /// Does nothing where there is none, or its task has not ended.
    ReplayWebhook(WebhookId),
}

/// Makes a task once: a second task with this key is refused for 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// At most 255 characters; the HTTP layer sees to that.
    pub key: String,
    /// The API key's name, or empty without API keys: two callers' keys do not meet.
    pub scope: String,
    /// Of the request's body: the same key with another body is an error of the caller.
    pub body_sha256: [u8; 32],
}

impl Change {
    /// Whether a webhook may be due after it.
    pub(super) fn makes_due(&self) -> bool {
        match self {
            Change::UpdateTask(record) => record.status.is_final(),
            Change::ReplayWebhook(_) => true,
            Change::InsertSession(_)
            | Change::UpdateSession(_)
            | Change::DeleteSession(_)
            | Change::InsertTask { .. }
            | Change::AppendEvents { .. }
            | Change::MoveSandbox { .. }
            | Change::AppendLines { .. }
            | Change::OpenRequest(_)
            | Change::SettleRequest { .. }
            | Change::ChargeOpenRequests
            | Change::AddCliCharge(_)
            | Change::InsertWebhook { .. }
            | Change::AttemptedWebhook(_) => false,
        }
    }

    /// About how many rows this writes, for the size of a transaction.
    pub(super) fn rows(&self) -> usize {
        match self {
            Change::InsertSession(record) | Change::UpdateSession(record) => 1 + record.env.len(),
            Change::DeleteSession(_)
            | Change::InsertTask { .. }
            | Change::UpdateTask(_)
            | Change::MoveSandbox { .. }
            | Change::OpenRequest(_)
            | Change::ChargeOpenRequests
            | Change::AddCliCharge(_)
            | Change::InsertWebhook { .. }
            | Change::AttemptedWebhook(_)
            | Change::ReplayWebhook(_) => 1,
            // Its usage, and each of its accounts.
            Change::SettleRequest { .. } => 8,
            Change::AppendEvents { events, .. } => events.len().max(1),
            Change::AppendLines { lines, .. } => lines.len().max(1),
        }
    }
}
