//! The durable side of a session: its record, and the journal of changes that the next commit writes.

mod submission;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::agent::AgentName;
use domain::ask::{AskRecord, Remembered};
use domain::egress::EgressRule;
use domain::event::{Event, ResetReason};
use domain::repository::{Checkout, Pull};
use domain::session::{
    CREDENTIAL_NAMES, Epoch, SandboxRecord, SessionId, SessionKey, SessionRecord, SessionRepository,
};
use domain::task::{TaskId, TaskRecord};
use gateway::SessionAccess;
use jiff::Timestamp;
use observe::redact::{Redactor, SessionRedactor};
use secrecy::ExposeSecret as _;
use store::{Change, Store, StoreError};
use tokio::time::Instant;
use tracing::warn;

use super::context::SessionContext;
use super::environment;
use super::journal::{Flushed, Journal};
use super::log::EventLog;

pub(crate) struct DurableState {
    id: SessionId,
    /// `None`: no task was submitted to this session yet.
    record: Option<SessionRecord>,
    journal: Journal,
    /// Masks secrets in the agent's output before it is stored or published.
    secrets: SessionRedactor,
}

/// The session's record at a moment when the journal was empty, for [`DurableState::undo`].
pub(crate) struct Savepoint(Option<SessionRecord>);

impl DurableState {
    pub(crate) fn new(store: &Store, redactor: &Arc<Redactor>, id: SessionId, record: Option<SessionRecord>) -> Self {
        let key = record.as_ref().map_or_else(SessionKey::generate, |record| record.key);
        let latest = record.as_ref().map_or(0, |record| record.last_seq);
        let epoch = record.as_ref().map_or_else(Epoch::generate, |record| record.epoch);
        let log = Arc::new(EventLog::new(key, epoch, store.clone(), latest));
        let journal = Journal::new(key, store.clone(), log);
        DurableState { id, record, journal, secrets: SessionRedactor::new(Arc::clone(redactor)) }
    }

    /// A task that is submitted to the id of a deleted session starts a new session with its own log.
    pub(crate) fn next_life(&self, context: &SessionContext) -> Self {
        self.journal.log().close();
        DurableState::new(&context.store, &context.redactor, self.id.clone(), None)
    }

    pub(crate) fn id(&self) -> &SessionId {
        &self.id
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.journal.session()
    }

    pub(crate) fn record(&self) -> Option<&SessionRecord> {
        self.record.as_ref()
    }

    pub(crate) fn agent(&self) -> AgentName {
        self.record.as_ref().map(|record| record.agent.clone()).unwrap_or_default()
    }

    /// Returns the name of the CLI's conversation, if one has begun.
    pub(crate) fn claude_session_id(&self) -> Option<&str> {
        self.record.as_ref()?.claude_session_id.as_deref()
    }

    pub(crate) fn sandbox(&self) -> Option<&SandboxRecord> {
        self.record.as_ref()?.sandbox.as_ref()
    }

    /// `None`: the session works in its workspace.
    pub(crate) fn repository(&self) -> Option<&SessionRepository> {
        self.record.as_ref()?.repository.as_ref()
    }

    pub(crate) fn checkout(&self) -> Option<&Checkout> {
        self.repository()?.checkout.as_ref()
    }

    pub(crate) fn log(&self) -> &Arc<EventLog> {
        self.journal.log()
    }

    pub(crate) fn secrets(&self) -> &SessionRedactor {
        &self.secrets
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.journal.next_seq()
    }

    /// Returns true if the task's end waits for its commit.
    pub(crate) fn ends(&self, task: &TaskId) -> bool {
        self.journal.ends(task)
    }

    /// Returns true if all changes are committed and the log has no subscribers.
    pub(crate) fn is_at_rest(&self) -> bool {
        let log = self.journal.log();
        self.journal.is_empty() && log.subscribers() == 0 && Arc::strong_count(log) == 1
    }

    /// Returns the time at which the failed commit is repeated. `None`: the last commit succeeded.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.journal.retry_at()
    }

    /// The access of a sandbox on the session's behalf. `egress`: the rules of its agent.
    pub(crate) fn access(&self, egress: &[EgressRule]) -> SessionAccess {
        self.record.as_ref().map(|record| environment::access(&record.env, egress)).unwrap_or_default()
    }

    /// The environment of the agent's tools.
    pub(crate) fn visible_env(&self) -> BTreeMap<String, String> {
        self.record.as_ref().map(|record| environment::visible(&record.env)).unwrap_or_default()
    }

    /// Numbers an event. The next commit publishes it.
    pub(crate) fn publish(&mut self, event: &Event, task: Option<&TaskId>) {
        self.journal.publish(event, task);
    }

    /// Writes a task's record as it is now.
    pub(crate) fn update_task(&mut self, record: &TaskRecord) {
        self.journal.change(Change::UpdateTask(record.clone()));
    }

    /// Stores an ask that is open now.
    pub(crate) fn open_ask(&mut self, ask: &AskRecord) {
        let session = self.journal.session();
        self.journal.change(Change::InsertAsk { session, ask: Box::new(ask.clone()) });
    }

    /// Stores the end of an ask.
    pub(crate) fn end_ask(&mut self, ask: &AskRecord) {
        self.journal.change(Change::EndAsk(Box::new(ask.clone())));
    }

    /// Keeps a decision for the session.
    pub(crate) fn remember_decision(&mut self, remembered: Remembered) {
        let session = self.journal.session();
        self.journal.change(Change::RememberDecision { session, remembered });
    }

    /// Adds a task's end, and writes the session's record.
    pub(crate) fn end_task(&mut self, record: TaskRecord) {
        self.journal.end(record);
        self.touch();
    }

    /// Adds a line to the task's log. Its secrets are masked already.
    pub(crate) fn masked_line(&mut self, task: &TaskId, line: &str) {
        self.journal.line(task, line);
    }

    /// Adds a line to the task's log.
    pub(crate) fn log_line(&mut self, task: &TaskId, line: &str) {
        let masked = self.secrets.line(line);
        self.journal.line(task, masked.as_deref().unwrap_or(line));
    }

    /// Marks the sandbox's frames up to `last` as processed. `progress`: the state that they led to.
    pub(crate) fn mark_frame(&mut self, last: u64, progress: String) {
        self.journal.frame(last, progress);
    }

    /// Writes the session's record as it is now.
    pub(crate) fn touch(&mut self) {
        if let Some(record) = &mut self.record {
            record.last_active = Timestamp::now();
            self.journal.change(Change::UpdateSession(record.without_env()));
        }
    }

    /// Counts a completed turn. The task's end writes it.
    pub(crate) fn count_turn(&mut self) {
        if let Some(record) = &mut self.record {
            record.turns += 1;
        }
    }

    pub(crate) fn remember_conversation(&mut self, claude_session_id: String) {
        if let Some(record) = &mut self.record
            && record.claude_session_id.as_ref() != Some(&claude_session_id)
        {
            record.claude_session_id = Some(claude_session_id);
            self.journal.change(Change::UpdateSession(record.without_env()));
        }
    }

    /// Begins the conversation again, because its transcript is lost.
    pub(crate) fn forget_conversation(&mut self) {
        if let Some(record) = &mut self.record {
            record.claude_session_id = None;
        }
        self.journal.publish(&Event::SessionReset { reason: ResetReason::TranscriptLost }, None);
        self.touch();
    }

    /// Writes the sandbox into the session's record. A warm sandbox is already in it.
    pub(crate) fn record_sandbox(&mut self, sandbox: SandboxRecord) {
        if let Some(record) = &mut self.record
            && record.sandbox.as_ref().is_none_or(|known| known.name != sandbox.name)
        {
            record.sandbox = Some(sandbox);
            self.touch();
        }
    }

    /// Removes the sandbox from the session's record, and returns true if the record had it and must be written.
    pub(crate) fn remove_sandbox(&mut self) -> bool {
        self.record.as_mut().is_some_and(|record| record.sandbox.take().is_some())
    }

    /// Drops the mark of a removed sandbox.
    pub(crate) fn forget_frames(&mut self) {
        self.journal.forget_frames();
    }

    /// Writes where the session works. Returns the known facts about the repository, and whether the checkout is new.
    pub(crate) fn set_checkout(&mut self, checkout: Checkout, cloned: bool) -> Option<(SessionRepository, bool)> {
        let repository = self.record.as_mut()?.repository.get_or_insert_default();
        let is_new = repository.checkout.is_none();
        repository.checkout = Some(checkout);
        repository.cloned = cloned;
        let known = repository.clone();
        self.touch();
        Some((known, is_new))
    }

    /// Allows the session to move these branches, which it created.
    pub(crate) fn add_made_branches(&mut self, branches: BTreeSet<String>) {
        let repository = self.record.as_mut().and_then(|record| record.repository.as_mut());
        if let Some(checkout) = repository.and_then(|repository| repository.checkout.as_mut()) {
            checkout.made.extend(branches);
            self.touch();
        }
    }

    pub(crate) fn set_pull(&mut self, pull: Pull) {
        if let Some(record) = &mut self.record {
            record.repository.get_or_insert_default().pull = Some(pull);
            self.touch();
        }
    }

    /// Masks the session's current secrets instead of its earlier ones: its credential and its sandbox's link secret.
    pub(crate) fn learn_secrets(&mut self) {
        let Some(record) = &self.record else { return };
        let credentials = CREDENTIAL_NAMES.iter().filter_map(|name| record.env.get(*name));
        let secrets = credentials.chain(record.sandbox.as_ref().map(|sandbox| &sandbox.link_secret));
        // The secrets are trimmed, as `Credential` sends them.
        self.secrets.replace(secrets.map(|secret| secret.expose_secret().trim()));
    }

    /// Resets the session, which loses its memory and files.
    pub(crate) fn reset(&mut self) {
        if let Some(record) = &mut self.record {
            record.turns = 0;
            record.claude_session_id = None;
            if let Some(repository) = &mut record.repository {
                repository.cloned = false;
            }
        }
        self.journal.change(Change::ForgetDecisions(self.journal.session()));
        self.journal.publish(&Event::SessionReset { reason: ResetReason::Reset }, None);
        self.touch();
    }

    pub(crate) fn delete(&mut self) {
        self.journal.publish(&Event::SessionDeleted {}, None);
        self.journal.change(Change::DeleteSession(self.journal.session()));
    }

    /// Changes the session's key. Allowed only before its first commit.
    pub(crate) fn rename(&mut self, key: SessionKey) {
        self.journal.rename(key);
    }

    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint(self.record.clone())
    }

    /// Drops everything since the savepoint, because its commit failed.
    pub(crate) fn undo(&mut self, savepoint: Savepoint) {
        self.journal.discard();
        self.record = savepoint.0;
    }

    /// Commits, then publishes. A failed commit is repeated at [`DurableState::retry_at`], unless it is undone.
    pub(crate) async fn flush(&mut self) -> Result<Flushed, StoreError> {
        self.journal.flush().await.inspect_err(|error| {
            // A repeated request is not an error. It is undone, and its caller gets the first request's task.
            if !matches!(error, StoreError::IdempotencyKeyUsed { .. }) {
                warn!(session.id = %self.id, %error, "could not commit; trying again");
            }
        })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{accept, test_durable};
