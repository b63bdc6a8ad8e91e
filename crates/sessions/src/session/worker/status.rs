//! What others see of a session while it changes.

use jiff::Timestamp;

use super::Worker;
use crate::session::Status;
use crate::session::feed::Changed;

/// What of a session's row makes it worth telling again.
#[derive(PartialEq, Eq)]
pub(super) struct Told {
    status: Status,
    created: Timestamp,
    last_active: Timestamp,
    turns: u64,
    claude_session_id: Option<String>,
}

impl Worker {
    pub(super) fn publish_status(&self) {
        let status = Status {
            busy: self.conversation.current().is_some() || !self.queue.is_empty(),
            running: self.conversation.current().is_some(),
            queued: self.queue.len(),
            state: self.state.as_str(),
        };
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
    }

    /// Tells those who watch all sessions, where the row that they have of this one is out of date.
    /// Not in the middle of a change, and not while it is not written down.
    pub(super) fn tell_watchers(&mut self) {
        if !self.context.feed.is_watched() || self.retry_commit.is_some() {
            return;
        }
        let Some(record) = &self.conversation.record else { return };
        let status = *self.status.borrow();
        let now = Told {
            status,
            created: record.created,
            last_active: record.last_active,
            turns: record.turns,
            claude_session_id: record.claude_session_id.clone(),
        };
        if self.told.as_ref() != Some(&now) {
            let seq = self.conversation.journal.log().latest();
            self.context.feed.publish(&Changed::Session(record, status, seq));
            self.told = Some(now);
        }
    }
}
