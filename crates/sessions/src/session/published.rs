//! The last published status and row of a session.

use domain::session::{SessionId, SessionRecord};
use domain::task::TaskRecord;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::warn;

use super::context::SessionContext;
use super::feed::{Changed, Feed};
use super::journal::{Flushed, FlushedTask};
use super::state::State;
use super::tasks::Tasks;

/// The part of a session's state that a list of sessions shows without asking each worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub busy: bool,
    pub running: bool,
    pub queued: usize,
    pub state: &'static str,
}

impl Status {
    pub(crate) fn new(tasks: &Tasks, state: State) -> Self {
        Status {
            busy: tasks.is_busy(),
            running: tasks.current().is_some(),
            queued: tasks.queued(),
            state: state.as_str(),
        }
    }
}

pub(crate) struct LastPublished {
    status: watch::Sender<Status>,
    /// `None`: watchers of the feed have no row of this session.
    row: Option<Row>,
}

/// The parts of a session's row whose change is worth a notice.
#[derive(PartialEq, Eq)]
struct Row {
    status: Status,
    created: Timestamp,
    last_active: Timestamp,
    turns: u64,
    claude_session_id: Option<String>,
}

impl LastPublished {
    pub(crate) fn new(status: watch::Sender<Status>) -> Self {
        LastPublished { status, row: None }
    }

    pub(crate) fn publish_status(&self, status: Status) {
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
    }

    /// Publishes the committed changes of tasks, and the deletion of the session.
    pub(crate) async fn publish_commit(&mut self, flushed: &Flushed, session: &SessionId, context: &SessionContext) {
        let feed = &context.feed;
        for task in &flushed.tasks {
            match task {
                FlushedTask::New(record) => feed.publish(&Changed::Task(record)),
                FlushedTask::Changed(record) => publish_changed(record, context).await,
            }
        }
        for ask in &flushed.asks {
            feed.publish(&Changed::Ask(ask));
        }
        if flushed.session_deleted {
            feed.publish(&Changed::SessionDeleted(session));
            self.row = None;
        }
    }

    /// Publishes the session's row if watchers have an older one. Call it only between changes and while all of them are committed.
    pub(crate) fn notify_watchers(&mut self, feed: &Feed, record: &SessionRecord, last_seq: u64) {
        if !feed.is_watched() {
            return;
        }
        let status = *self.status.borrow();
        let row = Row {
            status,
            created: record.created,
            last_active: record.last_active,
            turns: record.turns,
            claude_session_id: record.claude_session_id.clone(),
        };
        if self.row.as_ref() != Some(&row) {
            feed.publish(&Changed::Session(record, status, last_seq));
            self.row = Some(row);
        }
    }
}

/// Publishes a record with the beginning of its texts, which the store has.
async fn publish_changed(record: &TaskRecord, context: &SessionContext) {
    if !context.feed.is_watched() {
        return;
    }
    match context.store.listed_task(&record.id).await {
        Ok(Some(listed)) => {
            let record = TaskRecord { request: listed.request, ..record.clone() };
            context.feed.publish(&Changed::Task(&record));
        }
        // Retention removed it.
        Ok(None) => {}
        Err(error) => {
            warn!(task.id = %record.id, %error, "could not read a task for those who watch; they list again");
            context.feed.skip();
        }
    }
}
