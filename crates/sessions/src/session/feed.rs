//! What changes in any session, for those who watch all of them: records of tasks and rows of sessions.
//!
//! Watchers read a ring of notices, nobody sends to them: one that is slow costs its own place, and is told to list again
//! when what it has not read is gone. Where nobody watches, nothing is kept or serialised.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::session::{SessionId, SessionRecord};
use domain::task::TaskRecord;
use tokio::sync::watch;

use super::Status;

/// Bytes of the notices that are kept for watchers that have not read them yet.
const RING_BYTES: usize = 4 * 1024 * 1024;

/// Counted for each notice beside its text, so that many small ones are bounded, too.
const NOTICE_BYTES: usize = 256;

/// Notices handed to a watcher at once.
const BATCH: usize = 64;

/// Each is a connection that stays; an installation has a few dashboards.
const MAX_WATCHERS: usize = 256;

/// A change that is durable.
#[derive(Debug)]
pub enum Changed<'a> {
    Task(&'a TaskRecord),
    /// With the number of its last event.
    Session(&'a SessionRecord, Status, u64),
    SessionDeleted(&'a SessionId),
}

/// Makes JSON of a change, as the API shows it. The first watcher brings it: sessions do not know how they are shown.
pub type Render = fn(&Changed<'_>) -> Bytes;

/// A change as all watchers share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub session: SessionId,
    pub kind: NoticeKind,
    /// One line.
    pub json: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    Task,
    Session,
    SessionDeleted,
}

/// What a watcher gets next.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    Notices(Vec<Notice>),
    /// More came than is kept: whoever wants to know must list again.
    Missed,
}

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ring: Mutex<Ring>,
    /// The number of the next notice. Its receivers are the watchers.
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    render: Option<Render>,
    notices: VecDeque<Notice>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
}

impl Feed {
    /// Follows everything from now on. `None`: as many watch already as may.
    pub fn watch(&self, render: Render) -> Option<Watcher> {
        // Subscribed under the lock, so that two cannot take the last place.
        let mut ring = self.shared.ring();
        if self.shared.end.receiver_count() >= MAX_WATCHERS {
            return None;
        }
        ring.render = Some(render);
        let (at, end) = (ring.end(), self.shared.end.subscribe());
        drop(ring);
        Some(Watcher { shared: Arc::clone(&self.shared), at, end })
    }

    /// Whether it is worth finding out what changed.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.end.receiver_count() > 0
    }

    /// Tells the watchers, if there are any, of what was committed.
    pub(crate) fn publish(&self, changed: &Changed<'_>) {
        if !self.is_watched() {
            return;
        }
        let Some(render) = self.shared.ring().render else { return };
        // Outside the lock: an answer may be long.
        let json = render(changed);
        let (session, kind) = match changed {
            Changed::Task(record) => (&record.session_id, NoticeKind::Task),
            Changed::Session(record, ..) => (&record.id, NoticeKind::Session),
            Changed::SessionDeleted(id) => (*id, NoticeKind::SessionDeleted),
        };
        let end = self.shared.ring().push(Notice { session: session.clone(), kind, json });
        // Never back, where two sessions are here at once.
        self.shared.end.send_modify(|latest| *latest = end.max(*latest));
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.notices.len() as u64
    }

    /// Returns the number after it.
    fn push(&mut self, notice: Notice) -> u64 {
        self.bytes += notice.json.len() + NOTICE_BYTES;
        self.notices.push_back(notice);
        while self.bytes > RING_BYTES
            && let Some(oldest) = self.notices.pop_front()
        {
            self.first += 1;
            self.bytes -= oldest.json.len() + NOTICE_BYTES;
        }
        self.end()
    }

    fn clear(&mut self) {
        self.first = self.end();
        self.notices = VecDeque::new();
        self.bytes = 0;
    }
}

/// One who follows the feed.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    /// The number of the notice that comes next.
    at: u64,
    end: watch::Receiver<u64>,
}

impl Watcher {
    /// Waits for what comes next. Safe to cancel.
    pub async fn next(&mut self) -> News {
        loop {
            // *Before* looking, so that what comes in between wakes us.
            self.end.borrow_and_update();
            if let Some(news) = self.unread() {
                return news;
            }
            if self.end.changed().await.is_err() {
                // Not while we hold the sender ourselves.
                std::future::pending::<()>().await;
            }
        }
    }

    fn unread(&mut self) -> Option<News> {
        let ring = self.shared.ring();
        let Some(skipped) = self.at.checked_sub(ring.first) else {
            self.at = ring.end();
            return Some(News::Missed);
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let notices: Vec<Notice> = ring.notices.iter().skip(skipped).take(BATCH).cloned().collect();
        self.at += notices.len() as u64;
        (!notices.is_empty()).then_some(News::Notices(notices))
    }
}

impl Drop for Watcher {
    /// The last one takes what was kept with it.
    fn drop(&mut self) {
        let mut ring = self.shared.ring();
        if self.shared.end.receiver_count() <= 1 {
            ring.clear();
        }
    }
}

#[cfg(test)]
mod tests;
