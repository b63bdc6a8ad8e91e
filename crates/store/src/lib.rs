//! Sessions, tasks and events in one SQLite file that survives a crash of the coordinator at any moment.
//!
//! | module | contains |
//! |---|---|
//! | `change` | [`Change`]: the writes |
//! | `write` | the writer thread: group commit, one file per subject |
//! | `read`, `page` | the read-only connections and their queries; paging |
//! | `retention` | the removal of old events and lines |
//! | `damage` | damaged rows, which are skipped and named |
//! | `orphans`, `inspect` | the record of volumes without a session; a look at a store that a server may use |
//! | `keys` | API keys, on a connection of their own |
//! | `seal`, `rekey` | sealed secrets; their key and its replacement |
//! | `restore` | a backup, put into a data directory |
//! | `schema`, `schema_version` | migrations and connections; the version of a database that is not opened |
//! | `row` | column formats |
//! | `data_dir`, `lock` | the directory; its lock |
//! | `error` | [`StoreError`] |
//!
//! Invariants:
//! - A change is durable when its commit returns. A list of changes is applied completely or not at all.
//! - No type of the database library leaves this crate.
//! - A damaged row fails the calls that ask for it, and no others: lists, searches, the index and retention skip it, and
//!   [`Store::damage`] names it.
//! - Secrets (`env` values, link secrets, webhook targets) are only stored sealed.
//!
//! **Writing.** Callers submit lists of [`Change`]s to one writer thread. The thread applies all waiting lists in one
//! transaction, answers when that is on disk, and continues with the lists that arrived meanwhile. A commit therefore
//! waits for at most one other, and a thousand of them share a few fsyncs; there is no timer. Each list is atomic by a
//! savepoint, so the conflict of one caller does not affect the others. If a caller awaits one commit before the next,
//! every reader sees them in that order.
//!
//! **Reading** uses a few read-only connections on blocking threads and sees everything that was committed. Records, lists and
//! logs have connections of their own, so lists never delay a record. A read has a deadline and ends when its caller stops
//! waiting; a list that finds no free connection for a second fails with [`StoreError::Busy`].
//!
//! **A full disk** fails a list with [`StoreError::Full`] and changes nothing. The next list is tried again, so the
//! store recovers by itself when there is room.
//!
//! **Retention** ([`Store::prune`]) removes the events and lines of ended tasks that are too old or exceed the size
//! limit; the tasks that ended first go first. Events of a session are only removed from its front, in whole tasks, and
//! never up to a task that has not ended, so the rest has no gaps: [`Store::bounds`] returns its limits. Events without
//! a task are removed with the next task's. Records of sessions stay; those
//! of tasks are removed at an age of their own, with their idempotency keys, while usage and spending stay. The file does not shrink;
//! its free pages are reused.
//!
//! **Searches** ([`Store::tasks`] with a text) use an index of trigrams over the first 16 KiB of each message and answer. It is
//! filled in small batches after the commits ([`Store::index`]); a search compares the newest tasks that are not indexed yet.
//!
//! **Deleting a session** removes its record and `env` and makes its events and lines unreadable in the same commit;
//! their rows are removed in the background, a few at a time. The records of its tasks stay readable without their
//! content.
//!
//! `migrations/V1__initial.sql` describes the tables.

mod change;
mod damage;
mod data_dir;
mod error;
mod inspect;
mod keys;
mod lock;
mod orphans;
mod page;
mod read;
mod rekey;
mod restore;
mod retention;
mod row;
mod schema;
mod schema_version;
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
pub use data_dir::make_directory;
pub use error::StoreError;
pub use inspect::{Inspection, inspect};
pub use keys::{KeyStore, StoredKeys};
pub use lock::{LockHolder, Occupied, holder, occupy};
pub use orphans::{KnownVolume, OrphanVolume};
pub use page::{Cursor, InvalidCursor, MAX_PAGE_BYTES, Page};
pub use read::{
    Answers, AskFilter, BusyWebhooks, EventBounds, LISTED_CHARS, SessionSummary, StoredLine, TaskFilter, TaskPlace,
    UnfinishedTask, WebhookFilter,
};
pub use rekey::{RekeyStep, rekey};
pub use restore::{Restored, RestoredAs, installation, restore};
pub use schema::SCHEMA_VERSION;
pub use schema_version::{SchemaVersion, schema_version};

use damage::DamageLog;
use data_dir::DataDir;
use lock::Purpose;
use read::Readers;
use seal::Sealer;
use write::{Work, Writer, WriterHandle};

/// The time for which an idempotency key is kept.
pub const IDEMPOTENCY_KEY_AGE: Duration = Duration::from_hours(24);

/// The settings of the store. The default keeps everything.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// The key file. `None` uses `secret.key` in the data directory.
    pub secret_key_file: Option<PathBuf>,
    /// The age, since the end of their task, at which events and lines are removed.
    pub max_age: Option<Duration>,
    /// The maximum size of events and lines together. Above it, those of the tasks that ended first are removed.
    pub max_bytes: Option<u64>,
    /// The age, since their end, at which the records of tasks are removed. Usage and spending stay.
    pub max_task_age: Option<Duration>,
    /// The metrics that count transactions.
    pub metrics: Metrics,
}

/// The store of one data directory. Clones are cheap and share the store. When the last clone is dropped, accepted
/// changes are still written, and the drop waits for that.
#[derive(Clone)]
pub struct Store {
    shared: Arc<OpenStore>,
}

struct OpenStore {
    writer: WriterHandle,
    readers: Arc<Readers>,
    sealer: Arc<Sealer>,
    options: StoreOptions,
    damage: DamageLog,
    /// The previous process did not close the database.
    unclean: bool,
}

impl Store {
    /// Locks the directory, creates missing files, and migrates the schema. It blocks on the disk: call it before the
    /// runtime is busy, or through `spawn_blocking`. Fails with [`StoreError::Locked`] if another coordinator uses the
    /// directory.
    pub fn open(data_dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let data_dir = DataDir::acquire(data_dir, Purpose::Serve)?;
        let key_file = options.secret_key_file.as_ref().unwrap_or(&data_dir.default_key_file);
        let unclean = damage::is_unclean(&data_dir.database);
        let connection = schema::open_writer(&data_dir.database)?;
        let sealer = Arc::new(schema::open_sealer(&connection, key_file)?);
        let readers = Arc::new(Readers::new(data_dir.database.clone()));
        let damage = DamageLog::default();
        let writer = Writer::start(connection, sealer.clone(), damage.clone(), data_dir, options.metrics.clone())?;
        Ok(Store { shared: Arc::new(OpenStore { writer, readers, sealer, options, damage, unclean }) })
    }

    /// Applies all changes or none, and returns when they are durable. Dropping the future does not cancel them.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.shared.writer.ask(Work::Commit(changes)).await.map(drop)
    }

    /// The same as [`Store::commit`], but it takes its place in the order of commits immediately, not when the future
    /// is first polled.
    pub fn enqueue(&self, changes: Vec<Change>) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let queued = self.shared.writer.put(Work::Commit(changes));
        let store = self.clone();
        async move {
            match queued {
                Ok(answer) => answer.await.map_err(|_| StoreError::Closed)?.map(drop),
                // The queue is full, so wait for a place.
                Err(work) => store.shared.writer.ask(work).await.map(drop),
            }
        }
    }

    /// Waits until a webhook may have become due since the previous call. Only one caller may wait.
    pub async fn webhooks_made_due(&self) {
        self.shared.writer.made_due().await;
    }

    /// Waits until a task may wait to be indexed for searches. Only one caller may wait.
    pub async fn texts_changed(&self) {
        self.shared.writer.unindexed().await;
    }

    /// Indexes some tasks for searches, between other commits. Returns true if more may be left; then call it again.
    pub async fn index(&self) -> Result<bool, StoreError> {
        Ok(self.shared.writer.ask(Work::Index).await? > 0)
    }

    /// Removes a bounded amount of what retention no longer keeps, and expired idempotency keys. Returns true if more
    /// is left; then call it again.
    pub async fn prune(&self, now: Timestamp) -> Result<bool, StoreError> {
        let excess_bytes = match self.shared.options.max_bytes {
            Some(max_bytes) => self.log_bytes().await?.saturating_sub(max_bytes),
            None => 0,
        };
        let before = |age: Duration| row::nanos(now).saturating_sub(row::duration(age));
        let ended_before = self.shared.options.max_age.map(before);
        let tasks_ended_before = self.shared.options.max_task_age.map(before);
        let plan = retention::Plan { now, ended_before, excess_bytes, tasks_ended_before };
        let removed = self.shared.writer.ask(Work::Prune(plan)).await?;
        Ok(removed >= retention::ROWS_PER_CALL)
    }

    /// Writes the accepted changes, rejects later ones with [`StoreError::Closed`], and unlocks the data directory.
    pub async fn close(&self) {
        // Close the readers first: the last connection checkpoints the WAL, and that must be the writer's.
        self.shared.readers.close().await;
        self.shared.writer.close().await;
    }

    /// Opens the API keys of this store, on a connection of their own. It blocks on the disk.
    pub fn keys(&self) -> Result<KeyStore, StoreError> {
        KeyStore::of_database(self.shared.readers.database(), self.shared.damage.clone())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
