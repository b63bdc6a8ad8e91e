//! The changes of all sessions, for dashboards: records of tasks and rows of sessions.
//!
//! Watchers read a ring of notices. A slow watcher delays only itself and must list again if unread notices were dropped. Without
//! watchers, nothing is kept or serialised.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::ask::AskRecord;
use domain::session::{SessionId, SessionRecord};
use domain::task::TaskRecord;
use tokio::sync::watch;

use super::Status;

/// The size of the notices that are kept for watchers.
const RING_BYTES: usize = 4 * 1024 * 1024;

/// Added to the size of each notice, so that many small ones are bounded, too.
const NOTICE_BYTES: usize = 256;

/// The number of notices that a watcher gets at once.
const BATCH: usize = 64;

/// Each watcher is an open connection; an installation has a few dashboards.
const MAX_WATCHERS: usize = 256;

/// A committed change.
#[derive(Debug)]
pub enum Changed<'a> {
    Task(&'a TaskRecord),
    Ask(&'a AskRecord),
    /// The number is that of the session's last event.
    Session(&'a SessionRecord, Status, u64),
    SessionDeleted(&'a SessionId),
}

/// Makes JSON of a change, in the form of the API. The first watcher provides it: sessions do not know their JSON form.
pub type Render = fn(&Changed<'_>) -> Bytes;

/// A change in the form that all watchers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub session: SessionId,
    pub kind: NoticeKind,
    /// One line of JSON.
    pub json: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    Task,
    Ask,
    Session,
    SessionDeleted,
}

/// A read of a watcher.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    Notices(Vec<Notice>),
    /// Unread notices were dropped: the watcher must list again.
    Missed,
}

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    shared: Arc<FeedState>,
}

#[derive(Debug, Default)]
struct FeedState {
    ring: Mutex<Ring>,
    /// The number of the next notice. Its receivers are the watchers.
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    render: Option<Render>,
    notices: VecDeque<Notice>,
    /// The number of the first notice.
    first: u64,
    bytes: usize,
}

impl Feed {
    /// Follows all changes from now on. `None`: the number of watchers has reached its bound.
    pub fn watch(&self, render: Render) -> Option<Watcher> {
        // Subscribed under the lock, so that two watchers cannot take the last place.
        let mut ring = self.shared.ring();
        if self.shared.end.receiver_count() >= MAX_WATCHERS {
            return None;
        }
        ring.render = Some(render);
        let (at, end) = (ring.end(), self.shared.end.subscribe());
        drop(ring);
        Some(Watcher { shared: Arc::clone(&self.shared), at, end })
    }

    /// Returns true if the feed has watchers.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.end.receiver_count() > 0
    }

    /// A change cannot be published: all watchers have to list again.
    pub(crate) fn skip(&self) {
        let end = {
            let mut ring = self.shared.ring();
            ring.clear();
            ring.first += 1;
            ring.end()
        };
        self.shared.end.send_modify(|latest| *latest = end.max(*latest));
    }

    /// Publishes a committed change to the watchers.
    pub(crate) fn publish(&self, changed: &Changed<'_>) {
        if !self.is_watched() {
            return;
        }
        let Some(render) = self.shared.ring().render else { return };
        // The JSON may be long, so it is rendered outside the lock.
        let json = render(changed);
        let (session, kind) = match changed {
            Changed::Task(record) => (&record.session_id, NoticeKind::Task),
            Changed::Ask(record) => (&record.session_id, NoticeKind::Ask),
            Changed::Session(record, ..) => (&record.id, NoticeKind::Session),
            Changed::SessionDeleted(id) => (*id, NoticeKind::SessionDeleted),
        };
        let end = self.shared.ring().push(Notice { session: session.clone(), kind, json });
        // Two sessions may publish at once, so the number must never decrease.
        self.shared.end.send_modify(|latest| *latest = end.max(*latest));
    }
}

impl FeedState {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.notices.len() as u64
    }

    /// Returns the number of the next notice.
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

/// A follower of the feed.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<FeedState>,
    /// The number of the next notice to read.
    at: u64,
    end: watch::Receiver<u64>,
}

impl Watcher {
    /// Waits for the next notices. Safe to cancel.
    pub async fn next(&mut self) -> News {
        loop {
            // *Before* the read, so that a notice published in between ends the wait below.
            self.end.borrow_and_update();
            if let Some(news) = self.unread() {
                return news;
            }
            if self.end.changed().await.is_err() {
                // This never resolves, because this watcher holds the sender itself.
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
    /// The last watcher removes the kept notices.
    fn drop(&mut self) {
        let mut ring = self.shared.ring();
        if self.shared.end.receiver_count() <= 1 {
            ring.clear();
        }
    }
}

#[cfg(test)]
mod tests;
