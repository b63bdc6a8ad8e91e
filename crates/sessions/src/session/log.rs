//! A session's event log as its subscribers see it: a cursor over the committed events.
//!
//! Replay and live events use the same read: from the tail in memory if it reaches back far enough, else from the store. No event
//! can fall between the two, a slow subscriber delays only itself, and no subscriber delays the worker.

mod frames;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use domain::event::StoredEvent;
use domain::session::{Epoch, EventCursor, SessionKey};
pub use frames::Frames;
use store::{Store, StoreError};
use tokio::sync::watch;

/// The size of the log's tail in memory: a subscriber on a working network never reads the store.
const TAIL_BYTES: usize = 512 * 1024;

/// The size of events that are encoded together, unless one event is larger. A subscriber that does not read holds one
/// page.
const PAGE_BYTES: usize = 128 * 1024;

/// A page below this size is encoded again with the next events, so that a later subscriber does not get them one by
/// one.
const SMALL_PAGE_BYTES: usize = 8 * 1024;

/// The number of events in one read of the store.
const STORE_EVENTS: usize = 256;

#[derive(Debug)]
pub struct EventLog {
    /// Changes at most once, before the first event: a new session takes the key of its warm sandbox.
    session: RwLock<SessionKey>,
    epoch: Epoch,
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
    /// Consecutive, without a gap.
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

    /// Returns the events after `since` in the page that has the first of them.
    fn after(&self, since: u64) -> Option<Frames> {
        let index = self.pages.partition_point(|page| page.last() <= since);
        self.pages.get(index)?.after(since)
    }
}

/// A read of a subscriber.
#[derive(Debug)]
pub enum Page {
    Events(Frames),
    Gap(Missing),
    /// The session was deleted. No event follows.
    End,
}

/// Events that a subscriber does not get. The log continues after `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub from: u64,
    /// The last event that retention removed; one less than `from` if it removed none.
    pub to: u64,
    /// The subscriber's position belongs to another life of the session. It reads this life's log from the beginning.
    pub renewed: bool,
}

impl EventLog {
    pub(crate) fn new(session: SessionKey, epoch: Epoch, store: Store, latest: u64) -> Self {
        let (latest, _) = watch::channel(Progress { latest, closed: false });
        EventLog { session: RwLock::new(session), epoch, store, tail: RwLock::default(), latest }
    }

    pub(crate) fn rename(&self, session: SessionKey) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
    }

    fn session(&self) -> SessionKey {
        *self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes committed events visible. They continue the earlier ones without a gap.
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

    /// Ends every subscription once it has read the last event.
    pub(crate) fn close(&self) {
        self.latest.send_modify(|progress| progress.closed = true);
    }

    /// Returns the epoch of the session's life to which this log belongs.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The cursor of a client that has the event `seq`.
    pub fn at(&self, seq: u64) -> EventCursor {
        EventCursor { epoch: Some(self.epoch), seq }
    }

    pub fn latest(&self) -> u64 {
        self.latest.borrow().latest
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.latest.receiver_count()
    }

    /// The number of the oldest event in the store.
    pub async fn earliest(&self) -> Result<u64, StoreError> {
        let bounds = self.store.bounds(self.session()).await?;
        Ok(bounds.map_or(1, |bounds| bounds.earliest))
    }

    /// Returns a cursor after `since`. A position that this life of the session cannot have issued becomes the position before the
    /// first event, and the first page is then a [`Page::Gap`].
    pub fn cursor(self: &Arc<Self>, since: EventCursor) -> Cursor {
        let is_of_this_life = since.epoch.is_none_or(|epoch| epoch == self.epoch) && since.seq <= self.latest();
        Cursor {
            progress: self.latest.subscribe(),
            log: Arc::clone(self),
            since: if is_of_this_life { since.seq } else { 0 },
            renewed: !is_of_this_life,
        }
    }

    fn read_tail(&self, since: u64) -> Option<Frames> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner).after(since)
    }
}

/// Cuts the events into full pages. Each page has at least one event, however large.
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

/// A subscriber's position in a session's log.
#[derive(Debug)]
pub struct Cursor {
    log: Arc<EventLog>,
    progress: watch::Receiver<Progress>,
    since: u64,
    /// The gap before a life's first event is still to be returned.
    renewed: bool,
}

impl Cursor {
    pub fn since(&self) -> u64 {
        self.since
    }

    pub fn epoch(&self) -> Epoch {
        self.log.epoch
    }

    /// Waits for the next events. Safe to cancel: the position moves only when this returns.
    pub async fn next(&mut self) -> Result<Page, StoreError> {
        self.next_with(std::future::ready(())).await.map(|(page, _)| page)
    }

    /// Waits for the next events like [`Cursor::next`]. Before it reads the store it waits for `turn`, which is returned with the
    /// page: such a page is the subscriber's own, while all subscribers share the pages of the tail.
    pub async fn next_with<T>(&mut self, turn: impl Future<Output = T>) -> Result<(Page, Option<T>), StoreError> {
        if self.renewed {
            let earliest = self.log.earliest().await?;
            (self.renewed, self.since) = (false, earliest - 1);
            return Ok((Page::Gap(Missing { from: 1, to: self.since, renewed: true }), None));
        }
        let (mut turn, mut taken) = (pin!(turn), None);
        loop {
            // Marked as seen *before* the read, so that an event committed in between ends the wait below.
            let progress = *self.progress.borrow_and_update();
            if progress.latest > self.since {
                let tail = self.log.read_tail(self.since);
                if tail.is_none() && taken.is_none() {
                    taken = Some(turn.as_mut().await);
                }
                match self.read(tail).await? {
                    Some(page) => return Ok((page, taken)),
                    None => continue,
                }
            }
            if progress.closed || self.progress.changed().await.is_err() {
                return Ok((Page::End, None));
            }
        }
    }

    /// Reads the store if the `tail` does not have the next events. Returns `None` if they were removed between two reads of the
    /// store.
    async fn read(&mut self, tail: Option<Frames>) -> Result<Option<Page>, StoreError> {
        let frames = if tail.is_some() {
            tail
        } else {
            let events = self.log.store.events(self.log.session(), self.since, STORE_EVENTS).await?;
            pages(&events).next().and_then(Frames::encode)
        };
        let next = match &frames {
            Some(frames) => frames.first(),
            // Retention removed all requested events, or the session was deleted and its rows were removed before its subscribers
            // ended.
            None => match self.log.store.bounds(self.log.session()).await? {
                Some(bounds) => bounds.earliest,
                None => return Ok(Some(Page::End)),
            },
        };
        if next > self.since + 1 {
            let gap = Page::Gap(Missing { from: self.since + 1, to: next - 1, renewed: false });
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
