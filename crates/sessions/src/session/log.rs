//! A session's event log as its subscribers see it: a cursor over what is committed.
//!
//! Replay and live are the same read: from the tail that is kept in memory where it reaches back far enough, from the store
//! where it does not. So nothing can fall between them, a slow subscriber costs only its own place, and none of them can
//! hold up the worker.

mod frames;

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use domain::event::StoredEvent;
use domain::session::SessionKey;
pub use frames::Frames;
use store::{Store, StoreError};
use tokio::sync::watch;

/// How much of the end of the log is kept in memory: enough that a subscriber on a working network never reads the store.
const TAIL_BYTES: usize = 512 * 1024;

/// Events that are encoded together, unless one is larger: what a subscriber that does not read holds on to.
const PAGE_BYTES: usize = 128 * 1024;

/// Fewer bytes than this are encoded again with what comes next, so that who comes later does not get them one by one.
const SMALL_PAGE_BYTES: usize = 8 * 1024;

/// Events that are read from the store at once.
const STORE_EVENTS: usize = 256;

#[derive(Debug)]
pub struct EventLog {
    /// Changes once at most, before the first event: a new session takes the key of its warm sandbox.
    session: RwLock<SessionKey>,
    store: Store,
    tail: RwLock<Tail>,
    /// The number of the last committed event. Closed when the session is deleted.
    latest: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    latest: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Tail {
    /// They follow each other without a hole.
    pages: VecDeque<Frames>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, events: &[StoredEvent]) {
        let Some(mut page) = Frames::encode(events) else { return };
        if let Some(last) = self.pages.pop_back_if(|last| last.bytes().len() < SMALL_PAGE_BYTES) {
            self.bytes -= last.bytes().len();
            page = last.followed_by(&page);
        }
        self.bytes += page.bytes().len();
        self.pages.push_back(page);
        while self.bytes > TAIL_BYTES
            && let Some(oldest) = self.pages.pop_front()
        {
            self.bytes -= oldest.bytes().len();
        }
    }

    /// Those after `since` in the page that has the first of them.
    fn after(&self, since: u64) -> Option<Frames> {
        let index = self.pages.partition_point(|page| page.last() <= since);
        self.pages.get(index)?.after(since)
    }
}

/// What a subscriber gets next.
#[derive(Debug)]
pub enum Page {
    Events(Frames),
    /// Retention removed what was asked for: the log goes on after `to`.
    Gap {
        from: u64,
        to: u64,
    },
    /// The session was deleted; nothing will follow.
    End,
}

impl EventLog {
    pub(crate) fn new(session: SessionKey, store: Store, latest: u64) -> Self {
        let (latest, _) = watch::channel(Progress { latest, closed: false });
        EventLog { session: RwLock::new(session), store, tail: RwLock::default(), latest }
    }

    pub(crate) fn rename(&self, session: SessionKey) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn session(&self) -> SessionKey {
        *self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes committed events visible. They follow the ones before without a hole.
    pub(crate) fn publish(&self, events: &[StoredEvent]) {
        let Some(last) = events.last().map(|event| event.seq) else { return };
        {
            let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
            for page in pages(events) {
                tail.push(page);
            }
        }
        self.latest.send_modify(|progress| progress.latest = last);
    }

    /// Ends every subscription once it has read what there is.
    pub(crate) fn close(&self) {
        self.latest.send_modify(|progress| progress.closed = true);
    }

    pub fn latest(&self) -> u64 {
        self.latest.borrow().latest
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.latest.receiver_count()
    }

    /// The number of the oldest event that is still there.
    pub async fn earliest(&self) -> Result<u64, StoreError> {
        let bounds = self.store.bounds(self.session()).await?;
        Ok(bounds.map_or(1, |bounds| bounds.earliest))
    }

    /// A cursor that stands after `since`.
    pub fn cursor(self: &std::sync::Arc<Self>, since: u64) -> Cursor {
        Cursor { progress: self.latest.subscribe(), log: std::sync::Arc::clone(self), since }
    }

    fn read_tail(&self, since: u64) -> Option<Frames> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner).after(since)
    }
}

/// Cuts where a page is full. Each has at least one event, however large.
fn pages(events: &[StoredEvent]) -> impl Iterator<Item = &[StoredEvent]> {
    let mut bytes = 0;
    events.chunk_by(move |one, next| {
        bytes += one.json.len();
        let fits = bytes + next.json.len() <= PAGE_BYTES;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

/// One subscriber's place in a session's log.
#[derive(Debug)]
pub struct Cursor {
    log: std::sync::Arc<EventLog>,
    progress: watch::Receiver<Progress>,
    since: u64,
}

impl Cursor {
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Waits for the next events. Safe to cancel: the place moves only when something is returned.
    pub async fn next(&mut self) -> Result<Page, StoreError> {
        loop {
            // Marked as seen *before* reading, so that an event committed in between wakes the wait below.
            let progress = *self.progress.borrow_and_update();
            if progress.latest > self.since {
                match self.read().await? {
                    Some(page) => return Ok(page),
                    None => continue,
                }
            }
            if progress.closed || self.progress.changed().await.is_err() {
                return Ok(Page::End);
            }
        }
    }

    /// `None` where what is asked for went between two looks at the store.
    async fn read(&mut self) -> Result<Option<Page>, StoreError> {
        let frames = if let Some(frames) = self.log.read_tail(self.since) {
            Some(frames)
        } else {
            let events = self.log.store.events(self.log.session(), self.since, STORE_EVENTS).await?;
            pages(&events).next().and_then(Frames::encode)
        };
        let next = match &frames {
            Some(frames) => frames.first(),
            // Nothing is left of what was asked for: retention took all there was, or the session was deleted and its
            // rows went before its subscribers did.
            None => match self.log.store.bounds(self.log.session()).await? {
                Some(bounds) => bounds.earliest,
                None => return Ok(Some(Page::End)),
            },
        };
        if next > self.since + 1 {
            let gap = Page::Gap { from: self.since + 1, to: next - 1 };
            self.since = next - 1;
            return Ok(Some(gap));
        }
        Ok(frames.map(|frames| {
            self.since = frames.last();
            Page::Events(frames)
        }))
    }
}

#[cfg(test)]
mod tests;
