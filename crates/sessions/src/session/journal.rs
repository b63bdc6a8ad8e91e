//! What a worker is about to make durable: changes and events, committed together and only then told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::event::{Event, StoredEvent};
use domain::session::SessionKey;
use domain::task::{TaskId, TaskRecord};
use domain::usage::{CliCharge, Cost, Day};
use failpoint::failpoint;
use jiff::Timestamp;
use store::{Change, Store, StoreError};

use super::log::EventLog;

/// Collects until [`Journal::flush`]. After a failed flush everything is still here, to be flushed again or discarded.
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
    /// When the oldest event in here was told.
    oldest: Option<Instant>,
}

/// What became durable.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// Tasks whose end can now be told to those who wait for it.
    pub(crate) ended: Vec<TaskRecord>,
    /// The sandbox's frames up to this one can be forgotten.
    pub(crate) last_frame: Option<u64>,
    /// Tasks whose records are new or other than before, in this order.
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) session_deleted: bool,
    /// How long the oldest of the events took to become so.
    pub(crate) lag: Option<Duration>,
}

impl Flushed {
    fn add(&mut self, change: Change) {
        match change {
            Change::InsertTask { record, .. } | Change::UpdateTask(record) => self.tasks.push(record),
            Change::DeleteSession(_) => self.session_deleted = true,
            Change::InsertSession(_)
            | Change::UpdateSession(_)
            | Change::AppendEvents { .. }
            | Change::MoveSandbox { .. }
            | Change::AppendLines { .. }
            | Change::OpenRequest(_)
            | Change::SettleRequest { .. }
            | Change::ChargeOpenRequests
            | Change::AddCliCharge(_)
            | Change::InsertWebhook { .. }
            | Change::AttemptedWebhook(_)
            | Change::ReplayWebhook(_) => {}
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
        }
    }

    pub(crate) fn log(&self) -> &Arc<EventLog> {
        &self.log
    }

    pub(crate) fn session(&self) -> SessionKey {
        self.session
    }

    /// Before anything was written under the name of before.
    pub(crate) fn rename(&mut self, session: SessionKey) {
        self.session = session;
        self.log.rename(session);
    }

    /// Whether a task's end is in here, not yet written.
    pub(crate) fn ends(&self, task: &TaskId) -> bool {
        self.ended.iter().any(|record| record.id == *task)
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(crate) fn tell(&mut self, event: &Event, task: Option<&TaskId>) {
        self.events.push((task.cloned(), event.number(self.next_seq, Timestamp::now(), task)));
        self.next_seq += 1;
        self.oldest.get_or_insert_with(Instant::now);
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// A task's end: its record, and whoever waits for it.
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

    /// A line of the agent, for the task's log.
    pub(crate) fn line(&mut self, task: &TaskId, line: &str) {
        self.lines.push((task.clone(), bytes::Bytes::copy_from_slice(line.as_bytes())));
    }

    /// Everything that came up to this frame of the sandbox is in here. `progress`: what is known by that.
    pub(crate) fn frame(&mut self, last: u64, progress: String) {
        self.mark = Some((last, progress));
    }

    /// The sandbox is gone: there is nobody to whom its frames could be acknowledged.
    pub(crate) fn forget_frames(&mut self) {
        self.mark = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && self.lines.is_empty() && self.mark.is_none()
    }

    /// Commits, then publishes.
    pub(crate) async fn flush(&mut self) -> Result<Flushed, StoreError> {
        if self.is_empty() {
            return Ok(Flushed::default());
        }
        self.store.commit(self.batch()).await?;
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

    /// Forgets what could not be committed: it was not told to anyone.
    pub(crate) fn discard(&mut self) {
        self.next_seq -= self.events.len() as u64;
        self.changes.clear();
        self.events.clear();
        self.lines.clear();
        self.ended.clear();
        self.oldest = None;
        self.mark = None;
    }

    fn batch(&self) -> Vec<Change> {
        let mut batch = Vec::with_capacity(self.changes.len() + 2);
        let (deletes, others): (Vec<_>, Vec<_>) =
            self.changes.iter().cloned().partition(|change| matches!(change, Change::DeleteSession(_)));
        batch.extend(others);
        // Neighbours of one task share a change; their order is kept.
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
