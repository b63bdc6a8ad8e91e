//! The writer thread.

mod asks;
mod group;
mod logs;
mod search;
mod sessions;
mod tasks;
pub(super) mod usage;
mod webhooks;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use observe::metrics::Metrics;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::damage::DamageLog;
use super::data_dir::DataDir;
use super::retention::Plan;
use super::seal::Sealer;
use super::{Change, StoreError};

/// The capacity of the queue; further callers wait in `ask`. Each session has one worker that waits for its commits, so
/// the queue is only full with this many busy sessions.
const QUEUED_REQUESTS: usize = 1024;

pub(super) enum Work {
    Commit(Vec<Change>),
    Prune(Plan),
    /// Index some tasks for searches.
    Index,
    /// Accept nothing after this.
    Close,
    /// Run a test's code on the connection, between other work.
    #[cfg(test)]
    Hook(Option<Hook>),
}

#[cfg(test)]
type Hook = Box<dyn FnOnce(&Connection) + Send>;

struct Request {
    work: Work,
    /// Receives the number of written or removed rows.
    reply: oneshot::Sender<Result<usize, StoreError>>,
}

/// The callers' end of the queue. It is never cloned: dropping it ends the thread. The order of fields closes the queue
/// before the wait.
pub(super) struct WriterHandle {
    requests: mpsc::Sender<Request>,
    /// Notified when a webhook may have become due.
    due: Arc<Notify>,
    /// Notified when a task waits to be indexed.
    unindexed: Arc<Notify>,
    thread: Thread,
}

struct Thread(Mutex<Option<JoinHandle<()>>>);

pub(super) struct Writer {
    connection: Connection,
    sealer: Arc<Sealer>,
    damage: DamageLog,
    requests: mpsc::Receiver<Request>,
    metrics: Metrics,
    due: Arc<Notify>,
    unindexed: Arc<Notify>,
    /// Rows of deleted sessions may be left.
    rows_left: bool,
    /// Keeps the lock until the connection is closed, because only then may another coordinator start. Fields are
    /// dropped in order.
    _data_dir: DataDir,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        sealer: Arc<Sealer>,
        damage: DamageLog,
        data_dir: DataDir,
        metrics: Metrics,
    ) -> Result<WriterHandle, StoreError> {
        let (sender, requests) = mpsc::channel(QUEUED_REQUESTS);
        let due = Arc::<Notify>::default();
        let unindexed = Arc::<Notify>::default();
        // An earlier process, or an earlier version, may have left some.
        unindexed.notify_one();
        let writer = Writer {
            connection,
            sealer,
            damage,
            requests,
            metrics,
            due: due.clone(),
            unindexed: unindexed.clone(),
            rows_left: true,
            _data_dir: data_dir,
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(StoreError::Writer)?;
        Ok(WriterHandle { requests: sender, due, unindexed, thread: Thread(Mutex::new(Some(thread))) })
    }

    fn run(mut self) {
        while let Some(first) = self.next() {
            let group = self.gather(first);
            self.write(group);
        }
    }

    /// Waits for work. Removes rows of deleted sessions while there is none.
    fn next(&mut self) -> Option<Request> {
        while self.rows_left {
            match self.requests.try_recv() {
                Ok(request) => return Some(request),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => self.rows_left = self.remove_deleted(),
            }
        }
        self.requests.blocking_recv()
    }
}

impl WriterHandle {
    pub(super) async fn ask(&self, work: Work) -> Result<usize, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { work, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The same as [`WriterHandle::ask`], without waiting for a place in the queue. Returns the work if the queue is
    /// full.
    pub(super) fn put(&self, work: Work) -> Result<oneshot::Receiver<Result<usize, StoreError>>, Work> {
        let (reply, answer) = oneshot::channel();
        match self.requests.try_send(Request { work, reply }) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(request) | TrySendError::Closed(request)) => Err(request.work),
        }
    }

    pub(super) async fn made_due(&self) {
        self.due.notified().await;
    }

    pub(super) async fn unindexed(&self) {
        self.unindexed.notified().await;
    }

    pub(super) async fn close(&self) {
        // If the store is already closed, only wait for the thread's end.
        let _ = self.ask(Work::Close).await;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }
}

impl Thread {
    fn take(&self) -> Option<JoinHandle<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Thread {
    /// Waits until accepted changes are written and the directory is unlocked.
    fn drop(&mut self) {
        if let Some(thread) = self.take() {
            let _ = thread.join();
        }
    }
}
