//! What is kept: sessions, tasks, events, in one `SQLite` file that survives the coordinator at any moment.
//!
//! **Writing.** Callers hand in lists of [`Change`]s. One thread writes: it takes what has arrived, applies it in one
//! transaction and answers when that is on the disk, then takes what arrived meanwhile. So a commit waits for at most one
//! other, and a thousand of them share a few fsyncs; there is no timer. Every list is atomic for itself (a savepoint): one
//! caller's conflict fails nobody else. What one caller awaits before the next call is in that order for every reader.
//!
//! **Reading** goes through a few read-only connections, off the async threads, and sees everything that was committed.
//!
//! **A full disk** fails a list with [`StoreError::Full`] and changes nothing; the next one is tried afresh, so the store
//! heals by itself when there is room.
//!
//! **Retention** ([`Store::prune`]) removes the events and lines of ended tasks, oldest end first, when they are too old
//! or too much. A session's events are only ever cut off at their front, in whole tasks and never into a task that has not
//! ended, so what is left has no holes: [`Store::bounds`] says where it begins. Events without a task go with the next
//! task's. Records of tasks and sessions are small and stay. The file does not shrink; its free pages are used again.
//!
//! **Deleting a session** removes its record and `env` and makes its events and lines unreadable in the same commit; their rows
//! are removed in the background, a few at a time. Its tasks stay readable without what was said in them.
//!
//! **Secrets** (`env` values, link secrets) are sealed with a key file, see `seal.rs`; `rekey.rs` makes another one. The tables are described in
//! `migrations/V1__initial.sql`.

mod change;
mod data_dir;
mod error;
mod keys;
mod page;
mod read;
mod rekey;
mod retention;
mod row;
mod schema;
mod seal;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use observe::metrics::Metrics;

pub use change::{Change, IdempotencyKey};
pub use error::StoreError;
pub use keys::KeyStore;
pub use page::{Cursor, InvalidCursor, Page};
pub use read::{Bounds, StoredLine, TaskFilter, UnfinishedTask, WebhookFilter};
pub use rekey::{RekeyStep, rekey};
pub use write::WriteMetrics;

pub use data_dir::make_directory;

use data_dir::DataDir;
use read::Readers;
use seal::Sealer;
use write::{Work, Writer, WriterHandle};

/// How long an idempotency key is kept.
pub const IDEMPOTENCY_KEY_AGE: Duration = Duration::from_hours(24);

/// What may differ from one installation to another. The default keeps everything.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Where the key is, unless it is `secret.key` in the data directory.
    pub secret_key_file: Option<PathBuf>,
    /// Events and lines of tasks that ended longer ago are removed.
    pub max_age: Option<Duration>,
    /// Of events and lines together; beyond it those of the tasks that ended first are removed.
    pub max_bytes: Option<u64>,
    /// Where transactions are counted.
    pub metrics: Metrics,
}

/// The store of one data directory. Clones are cheap and mean the same store; when the last one is dropped, what was accepted
/// is still written, and the drop waits for that.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    writer: WriterHandle,
    readers: Arc<Readers>,
    sealer: Arc<Sealer>,
    options: StoreOptions,
}

impl Store {
    /// Takes the directory's lock, makes what is not there yet, and brings the schema up to date. Blocks on the disk:
    /// call it before the runtime is busy, or through `spawn_blocking`.
    pub fn open(data_dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let data_dir = DataDir::acquire(data_dir)?;
        let key_file = options.secret_key_file.as_ref().unwrap_or(&data_dir.default_key_file);
        let connection = schema::open_writer(&data_dir.database)?;
        let sealer = Arc::new(schema::open_sealer(&connection, key_file)?);
        let readers = Arc::new(Readers::new(data_dir.database.clone()));
        let writer = Writer::start(connection, sealer.clone(), data_dir, options.metrics.clone())?;
        Ok(Store { shared: Arc::new(Shared { writer, readers, sealer, options }) })
    }

    /// Applies all changes or none. Returns when they are durable. A caller that stops waiting does not take them back.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.shared.writer.ask(Work::Commit(changes)).await.map(drop)
    }

    /// As [`Store::commit`], with its place among the commits taken at once, and not only when the answer is awaited.
    pub fn enqueue(&self, changes: Vec<Change>) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let queued = self.shared.writer.put(Work::Commit(changes));
        let store = self.clone();
        async move {
            match queued {
                Ok(answer) => answer.await.map_err(|_| StoreError::Closed)?.map(drop),
                // The queue is full: a place in it is waited for.
                Err(work) => store.shared.writer.ask(work).await.map(drop),
            }
        }
    }

    /// Done when a webhook may have become due since the last call was. For one who waits.
    pub async fn webhooks_made_due(&self) {
        self.shared.writer.made_due().await;
    }

    /// Removes some of what retention no longer keeps, and idempotency keys that are too old. One call does a bounded amount;
    /// true: there is more to do, call again.
    pub async fn prune(&self, now: Timestamp) -> Result<bool, StoreError> {
        let excess_bytes = match self.shared.options.max_bytes {
            Some(max_bytes) => self.log_bytes().await?.saturating_sub(max_bytes),
            None => 0,
        };
        let ended_before = self.shared.options.max_age.map(|age| row::nanos(now).saturating_sub(row::duration(age)));
        let plan = retention::Plan { now, ended_before, excess_bytes };
        let removed = self.shared.writer.ask(Work::Prune(plan)).await?;
        Ok(removed >= retention::ROWS_PER_CALL)
    }

    /// Writes what was accepted, refuses what comes later with [`StoreError::Closed`], and lets go of the data directory.
    pub async fn close(&self) {
        // First, because the last connection to go writes the log back into the database, and that should be the writer's.
        self.shared.readers.close().await;
        self.shared.writer.close().await;
    }

    pub fn write_metrics(&self) -> WriteMetrics {
        self.shared.writer.metrics()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
