//! Changes: the writes that the store accepts.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::ask::{AskRecord, Remembered};
use domain::event::StoredEvent;
use domain::session::{SessionKey, SessionRecord};
use domain::task::{TaskId, TaskRecord, TaskStatus};
use domain::usage::{Charge, CliCharge, OpenRequest};
use domain::webhook::{Attempted, Target, WebhookId};
use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use crate::orphans::KnownVolume;

/// One write. [`Store::commit`](crate::Store::commit) applies a list of changes completely or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    InsertSession(SessionRecord),
    /// Replaces the record without `env`. The columns of other changes stay: `last_seq`, and `last_frame` and
    /// `progress` of the sandbox while it is the same one.
    UpdateSession(SessionRecord),
    /// Replaces the variables of a session.
    SetEnv {
        session: SessionKey,
        env: BTreeMap<String, SecretString>,
    },
    /// Deletes the session, its `env`, its events and its lines. The records of its tasks stay with status, times, cost
    /// and failure, but without content: no message, context, metadata, output or response.
    DeleteSession(SessionKey),
    InsertTask {
        record: TaskRecord,
        /// The id of the message to the agent: a prompt that is sent twice with one `uuid` runs once.
        prompt_uuid: Uuid,
        idempotency: Option<IdempotencyKey>,
    },
    /// Replaces status, attempt, times, answer and failure. The request of a task never changes, so that its texts may be
    /// missing here.
    UpdateTask(TaskRecord),
    /// Appends events of one task, or of none. Their numbers must follow the session's newest event.
    AppendEvents {
        session: SessionKey,
        task: Option<TaskId>,
        events: Vec<StoredEvent>,
    },
    /// Records that the store contains all output of the sandbox up to this frame, including the changes of this list.
    MoveSandbox {
        session: SessionKey,
        last_frame: u64,
        progress: String,
    },
    /// The CLI's stdout lines without deltas, for `GET /task/:id/logs`.
    AppendLines {
        session: SessionKey,
        task: TaskId,
        lines: Vec<Bytes>,
    },
    /// Reserves money for a model request that is about to be sent.
    OpenRequest(OpenRequest),
    /// Records the actual charge of an open request. It has no effect if the request is not open.
    SettleRequest {
        id: u64,
        charge: Charge,
    },
    /// Charges every open request with its estimate, because nobody is left who knows the actual cost.
    ChargeOpenRequests,
    /// Records the cost of a task that the CLI reports.
    AddCliCharge(CliCharge),
    /// Stores the target that the end of this task is delivered to. The change that ends the task makes the delivery
    /// due.
    InsertWebhook {
        id: WebhookId,
        /// The texts of its request do not matter.
        task: TaskRecord,
        target: Target,
    },
    AttemptedWebhook(Attempted),
    /// Delivers again at once. It has no effect if there is no such delivery, or if its task has not ended.
    ReplayWebhook(WebhookId),
    /// Stores an ask that was opened.
    InsertAsk {
        session: SessionKey,
        ask: Box<AskRecord>,
    },
    /// Stores the end of an ask. It has no effect if the ask has ended already.
    EndAsk(Box<AskRecord>),
    /// Keeps a decision for the session. A later one for the same rule replaces it.
    RememberDecision {
        session: SessionKey,
        remembered: Remembered,
    },
    /// Forgets all decisions that a session remembers.
    ForgetDecisions(SessionKey),
    /// Records which of these volumes, all that the engine has, belong to no session.
    RecordOrphanVolumes {
        volumes: Vec<KnownVolume>,
        now: Timestamp,
    },
}

/// Creates a task only once: a second task with this key is rejected for 24 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// At most 255 characters. The HTTP layer checks the length.
    pub key: String,
    /// The id of the API key; empty without API keys. Keys of different callers never collide.
    pub scope: String,
    /// SHA-256 of the request's body. The same key with another body is an error of the caller.
    pub body_sha256: [u8; 32],
}

impl Change {
    /// True if a webhook may be due after this change.
    pub(super) fn makes_due(&self) -> bool {
        match self {
            Change::UpdateTask(record) => record.status.is_final(),
            Change::ReplayWebhook(_) => true,
            Change::InsertSession(_)
            | Change::UpdateSession(_)
            | Change::SetEnv { .. }
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
            | Change::AttemptedWebhook(_)
            | Change::InsertAsk { .. }
            | Change::EndAsk(_)
            | Change::RememberDecision { .. }
            | Change::ForgetDecisions(_)
            | Change::RecordOrphanVolumes { .. } => false,
        }
    }

    /// True if the change adds or removes text that searches look at.
    pub(super) fn changes_texts(&self) -> bool {
        match self {
            Change::InsertTask { .. } | Change::DeleteSession(_) => true,
            // Only the answer of a completed task is searched.
            Change::UpdateTask(record) => record.status == TaskStatus::Completed,
            Change::InsertSession(_)
            | Change::UpdateSession(_)
            | Change::SetEnv { .. }
            | Change::AppendEvents { .. }
            | Change::MoveSandbox { .. }
            | Change::AppendLines { .. }
            | Change::OpenRequest(_)
            | Change::SettleRequest { .. }
            | Change::ChargeOpenRequests
            | Change::AddCliCharge(_)
            | Change::InsertWebhook { .. }
            | Change::AttemptedWebhook(_)
            | Change::ReplayWebhook(_)
            | Change::InsertAsk { .. }
            | Change::EndAsk(_)
            | Change::RememberDecision { .. }
            | Change::ForgetDecisions(_)
            | Change::RecordOrphanVolumes { .. } => false,
        }
    }

    /// The approximate number of written rows, which limits the size of a transaction.
    pub(super) fn rows(&self) -> usize {
        match self {
            Change::InsertSession(SessionRecord { env, .. }) | Change::SetEnv { env, .. } => 1 + env.len(),
            Change::UpdateSession(_)
            | Change::DeleteSession(_)
            | Change::InsertTask { .. }
            | Change::UpdateTask(_)
            | Change::MoveSandbox { .. }
            | Change::OpenRequest(_)
            | Change::ChargeOpenRequests
            | Change::AddCliCharge(_)
            | Change::InsertWebhook { .. }
            | Change::AttemptedWebhook(_)
            | Change::InsertAsk { .. }
            | Change::EndAsk(_)
            | Change::RememberDecision { .. }
            | Change::ForgetDecisions(_)
            | Change::ReplayWebhook(_) => 1,
            // The usage, and each of the accounts.
            Change::SettleRequest { .. } => 8,
            Change::AppendEvents { events, .. } => events.len().max(1),
            Change::AppendLines { lines, .. } => lines.len().max(1),
            Change::RecordOrphanVolumes { volumes, .. } => volumes.len().max(1),
        }
    }
}
