//! The connections of one kind of read. A read has a deadline, and ends when its caller stops waiting.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::{StoreError, schema};

/// The steps of SQLite's virtual machine between two checks of the deadline: some tens of microseconds.
const STEPS: i32 = 1000;

pub(super) struct Limits {
    /// The number of concurrent reads. Each connection may cache 2 MB of pages.
    connections: u32,
    /// The time for which a read waits for a connection.
    wait: Duration,
}

pub(super) const RECORDS: Limits = Limits { connections: 4, wait: Duration::from_secs(30) };
pub(super) const LISTS: Limits = Limits { connections: 8, wait: Duration::from_secs(1) };
pub(super) const LOGS: Limits = Limits { connections: 4, wait: Duration::MAX };

pub(super) struct Lane {
    database: PathBuf,
    limits: Limits,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Lane {
    pub(super) fn new(database: PathBuf, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections as usize));
        Lane { database, limits, idle: Mutex::default(), permits }
    }

    /// Runs a query on a blocking thread, for at most `duration`. Dropping the future ends the query.
    pub(super) async fn run<T, F>(self: &Arc<Self>, duration: Duration, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.admit().await?;
        let abandoned = Arc::new(AtomicBool::new(false));
        let on_drop = Abandon(Arc::clone(&abandoned));
        let lane = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            // The permit moves into the thread: a caller that stops waiting must not free it before the query ends.
            let _permit = permit;
            let mut connection = lane.take()?;
            let deadline = Instant::now() + duration;
            let must_end = move || abandoned.load(Ordering::Relaxed) || Instant::now() >= deadline;
            connection.progress_handler(STEPS, Some(must_end))?;
            let result = query(&connection);
            connection.progress_handler(STEPS, None::<fn() -> bool>)?;
            lane.put_back(connection);
            result
        });
        let result = reading.await.map_err(|_| StoreError::Closed)?;
        drop(on_drop);
        result
    }

    async fn admit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let permit = timeout(self.limits.wait, Arc::clone(&self.permits).acquire_owned()).await;
        permit.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::Closed)
    }

    /// Takes an idle connection, or opens one if none is idle: at first, and after a read that panicked with its
    /// connection.
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_reader(&self.database), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Waits for running reads and rejects later ones.
    pub(super) async fn close(&self) {
        if let Ok(permits) = self.permits.acquire_many(self.limits.connections).await {
            permits.forget();
        }
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Ends the query of a caller that stops waiting.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
