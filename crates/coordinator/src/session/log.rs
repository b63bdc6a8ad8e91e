//! A session's event log as its subscribers see it: a cursor over what is committed.
//!
//! Replay and live are the same read: from the tail that is kept in memory where it reaches back far enough, from the store
//! where it does not. So nothing can fall between them, a slow subscriber costs only its own place, and none of them can
//! hold up the worker.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use super::SessionKey;
use crate::event::StoredEvent;
use crate::store::{Store, StoreError};

/// How much of the end of the log is kept in memory: enough that a subscriber on a working network never reads the store.
const TAIL_BYTES: usize = 512 * 1024;

/// Events handed to a subscriber at once, and their bytes: what a subscriber that does not read holds on to.
const PAGE_EVENTS: usize = 256;
const PAGE_BYTES: usize = 256 * 1024;

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
    events: VecDeque<StoredEvent>,
    bytes: usize,
}

/// What a subscriber gets next.
#[derive(Debug, PartialEq, Eq)]
pub enum Page {
    Events(Vec<StoredEvent>),
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
    pub(crate) fn publish(&self, events: Vec<StoredEvent>) {
        let Some(last) = events.last().map(|event| event.seq) else { return };
        {
            let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                tail.bytes += event.json.len();
                tail.events.push_back(event);
            }
            while tail.bytes > TAIL_BYTES
                && let Some(oldest) = tail.events.pop_front()
            {
                tail.bytes -= oldest.json.len();
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

    fn read_tail(&self, since: u64) -> Option<Vec<StoredEvent>> {
        let tail = self.tail.read().unwrap_or_else(PoisonError::into_inner);
        let first = tail.events.front()?.seq;
        let skip = usize::try_from((since + 1).checked_sub(first)?).ok()?;
        let mut bytes = 0;
        let within = |event: &&StoredEvent| {
            // At least one, however large.
            let first = bytes == 0;
            bytes += event.json.len();
            first || bytes <= PAGE_BYTES
        };
        Some(tail.events.iter().skip(skip).take(PAGE_EVENTS).take_while(within).cloned().collect())
    }
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
                return self.read().await;
            }
            if progress.closed || self.progress.changed().await.is_err() {
                return Ok(Page::End);
            }
        }
    }

    async fn read(&mut self) -> Result<Page, StoreError> {
        let events = match self.log.read_tail(self.since) {
            Some(events) if !events.is_empty() => events,
            Some(_) | None => self.log.store.events(self.log.session(), self.since, PAGE_EVENTS).await?,
        };
        let next = match events.first() {
            Some(first) => first.seq,
            // Nothing is left of what was asked for: retention took all there was, or the session was deleted and its
            // rows went before its subscribers did.
            None => match self.log.store.bounds(self.log.session()).await? {
                Some(bounds) => bounds.earliest,
                None => return Ok(Page::End),
            },
        };
        if next > self.since + 1 {
            let gap = Page::Gap { from: self.since + 1, to: next - 1 };
            self.since = next - 1;
            return Ok(gap);
        }
        self.since = events.last().map_or(self.since, |last| last.seq);
        Ok(Page::Events(events))
    }
}

#[cfg(test)]
mod tests;
