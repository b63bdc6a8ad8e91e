//! Queries on a few read-only connections, on blocking threads.

mod logs;
pub(super) mod sessions;
pub(super) mod tasks;
mod usage;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Store, StoreError, schema};

pub use logs::{EventBounds, StoredLine};
pub use tasks::{TaskFilter, UnfinishedTask};
pub use webhooks::WebhookFilter;

/// The number of concurrent reads; more wait. Each connection may cache 2 MB of pages.
const CONNECTIONS: u32 = 4;

pub(super) struct Readers {
    database: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(database: PathBuf) -> Self {
        Readers { database, idle: Mutex::default(), permits: Arc::new(Semaphore::new(CONNECTIONS as usize)) }
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Takes an idle connection, or opens one if none is idle: at first, and after a read that panicked with its
    /// connection.
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_reader(&self.database), Ok)
    }

    /// Waits for running reads and rejects later ones.
    pub(super) async fn close(&self) {
        if let Ok(permits) = self.permits.acquire_many(CONNECTIONS).await {
            permits.forget();
        }
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

impl Store {
    /// Runs a query on a blocking thread. It runs to its end even if the caller stops waiting, so it must be short.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.shared.readers.clone();
        let permit = readers.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let reading = tokio::task::spawn_blocking(move || {
            // The permit moves into the thread: a caller that stops waiting must not free it before the query ends.
            let _permit = permit;
            let connection = readers.take()?;
            let result = query(&connection);
            readers.put_back(connection);
            result
        });
        reading.await.map_err(|_| StoreError::Closed)?
    }
}
