//! The changes and events that a worker is about to commit, in one transaction. Events are published after the commit.

use std::sync::Arc;
use std::time::Duration;

use domain::ask::AskRecord;
use domain::event::{Event, StoredEvent};
use domain::session::SessionKey;
use domain::task::{TaskId, TaskRecord};
use domain::usage::{CliCharge, Cost, Day};
use failpoint::failpoint;
use jiff::Timestamp;
use store::{Change, Store, StoreError};
use tokio::time::Instant;

use super::log::EventLog;

/// The delay before a commit that failed is repeated.
const COMMIT_RETRY: Duration = Duration::from_millis(500);

/// Collects changes until [`Journal::flush`]. A failed flush keeps all of them, to be flushed again or discarded.
#[derive(Debug)]
pub(crate) struct Journal {
    session: SessionKey,
    store: Store,
    log: Arc<EventLog>,
    next_seq: u64,
    changes: Vec<Change>,
    events: Vec<(Option<TaskId>, StoredEvent)>,
    lines: Vec<(TaskId, bytes::Bytes)>,
    mark: Option<(u64, String)>,
    ended: Vec<TaskRecord>,
    /// The time at which the oldest uncommitted event was added.
    oldest: Option<Instant>,
    /// The time at which the failed commit is repeated.
    retry_at: Option<Instant>,
}

/// The result of a commit.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// Tasks whose end is durable now.
    pub(crate) ended: Vec<TaskRecord>,
    /// The sandbox can forget its frames up to this one.
    pub(crate) last_frame: Option<u64>,
    /// New and changed records of tasks, in their order.
    pub(crate) tasks: Vec<FlushedTask>,
    /// Asks that were opened or ended, in their order.
    pub(crate) asks: Vec<AskRecord>,
    pub(crate) session_deleted: bool,
    /// The time from the oldest event to its commit.
    pub(crate) lag: Option<Duration>,
}

/// A task's record that was written.
#[derive(Debug, PartialEq)]
pub(crate) enum FlushedTask {
    New(TaskRecord),
    /// Without the texts of its request.
    Changed(TaskRecord),
}

impl Flushed {
    fn add(&mut self, change: Change) {
        match change {
            Change::InsertTask { record, .. } => self.tasks.push(FlushedTask::New(record)),
            Change::UpdateTask(record) => self.tasks.push(FlushedTask::Changed(record)),
            Change::InsertAsk { ask, .. } => self.asks.push(*ask),
            Change::EndAsk(ask) => self.asks.push(*ask),
            Change::DeleteSession(_) => self.session_deleted = true,
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
            | Change::RememberDecision { .. }
            | Change::ForgetDecisions(_)
            | Change::RecordOrphanVolumes { .. } => {}
        }
    }
}

impl Journal {
    pub(crate) fn new(session: SessionKey, store: Store, log: Arc<EventLog>) -> Self {
        let next_seq = log.latest() + 1;
        Journal {
            session,
            store,
            log,
            next_seq,
            changes: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            mark: None,
            ended: Vec::new(),
            oldest: None,
            retry_at: None,
        }
    }

    pub(crate) fn log(&self) -> &Arc<EventLog> {
        &self.log
    }

    pub(crate) fn session(&self) -> SessionKey {
        self.session
    }

    /// Changes the session's key. Allowed only before the first commit.
    pub(crate) fn rename(&mut self, session: SessionKey) {
        self.session = session;
        self.log.rename(session);
    }

    /// Returns true if the task's end waits for its commit.
    pub(crate) fn ends(&self, task: &TaskId) -> bool {
        self.ended.iter().any(|record| record.id == *task)
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Numbers an event. The next commit publishes it.
    pub(crate) fn publish(&mut self, event: &Event, task: Option<&TaskId>) {
        self.events.push((task.cloned(), event.number(self.next_seq, Timestamp::now(), task)));
        self.next_seq += 1;
        self.oldest.get_or_insert_with(Instant::now);
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    #[cfg(test)]
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Adds a task's end. The next commit reports it in [`Flushed::ended`].
    pub(crate) fn end(&mut self, record: TaskRecord) {
        let cli_cost = Cost::from_dollars(record.answer.as_ref().map_or(0.0, |answer| answer.cli_cost));
        if cli_cost > Cost::ZERO {
            self.changes.push(Change::AddCliCharge(CliCharge {
                day: Day::of(record.finished.unwrap_or(record.created)),
                key: record.request.key.clone(),
                session: record.session_id.clone(),
                cost: cli_cost,
            }));
        }
        self.changes.push(Change::UpdateTask(record.clone()));
        self.ended.push(record);
    }

    /// Adds a line to the task's log.
    pub(crate) fn line(&mut self, task: &TaskId, line: &str) {
        self.lines.push((task.clone(), bytes::Bytes::copy_from_slice(line.as_bytes())));
    }

    /// Marks all frames of the sandbox up to `last` as processed. `progress`: the state that they led to.
    pub(crate) fn frame(&mut self, last: u64, progress: String) {
        self.mark = Some((last, progress));
    }

    /// Drops the mark of a removed sandbox.
    pub(crate) fn forget_frames(&mut self) {
        self.mark = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && self.lines.is_empty() && self.mark.is_none()
    }

    /// Returns the time at which the failed commit is repeated. `None`: the last commit succeeded.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Commits, then publishes.
    pub(crate) async fn flush(&mut self) -> Result<Flushed, StoreError> {
        if !self.is_empty()
            && let Err(error) = self.store.commit(self.batch()).await
        {
            self.retry_at = Some(Instant::now() + COMMIT_RETRY);
            return Err(error);
        }
        self.retry_at = None;
        if self.is_empty() {
            return Ok(Flushed::default());
        }
        failpoint!("events.committed");
        let mut flushed = Flushed::default();
        for change in self.changes.drain(..) {
            flushed.add(change);
        }
        self.lines.clear();
        let events: Vec<StoredEvent> = self.events.drain(..).map(|(_, event)| event).collect();
        self.log.publish(&events);
        failpoint!("events.published");
        flushed.ended = std::mem::take(&mut self.ended);
        flushed.last_frame = self.mark.take().map(|(last, _)| last);
        flushed.lag = self.oldest.take().map(|oldest| oldest.elapsed());
        Ok(flushed)
    }

    /// Drops everything that is not committed. None of it was published.
    pub(crate) fn discard(&mut self) {
        self.next_seq -= self.events.len() as u64;
        self.changes.clear();
        self.events.clear();
        self.lines.clear();
        self.ended.clear();
        self.oldest = None;
        self.mark = None;
        self.retry_at = None;
    }

    fn batch(&self) -> Vec<Change> {
        let mut batch = Vec::with_capacity(self.changes.len() + 2);
        let (deletes, others): (Vec<_>, Vec<_>) =
            self.changes.iter().cloned().partition(|change| matches!(change, Change::DeleteSession(_)));
        batch.extend(others);
        // Consecutive events of one task share a change.
        for run in self.events.chunk_by(|a, b| a.0 == b.0) {
            batch.push(Change::AppendEvents {
                session: self.session,
                task: run[0].0.clone(),
                events: run.iter().map(|(_, event)| event.clone()).collect(),
            });
        }
        for run in self.lines.chunk_by(|a, b| a.0 == b.0) {
            batch.push(Change::AppendLines {
                session: self.session,
                task: run[0].0.clone(),
                lines: run.iter().map(|(_, line)| line.clone()).collect(),
            });
        }
        if let Some((last_frame, progress)) = self.mark.clone() {
            batch.push(Change::MoveSandbox { session: self.session, last_frame, progress });
        }
        batch.extend(deletes);
        batch
    }
}
