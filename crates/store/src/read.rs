//! Queries on a few read-only connections, on blocking threads. Each kind of read has connections of its own, so that no
//! number of lists delays a record.

mod asks;
mod lane;
mod logs;
mod search;
pub(super) mod sessions;
pub(super) mod tasks;
mod usage;
pub(super) mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::{Store, StoreError};
use lane::Lane;

pub use asks::AskFilter;
pub use logs::{EventBounds, StoredLine};
pub(super) use search::TEXTS;
pub use sessions::SessionSummary;
pub use tasks::{Answers, LISTED_CHARS, TaskFilter, TaskPlace, UnfinishedTask};
pub use webhooks::{BusyWebhooks, WebhookFilter};

/// The deadline of a record or a page of a log, which takes microseconds to milliseconds. It applies to a disk that hangs.
const RECORD_DEADLINE: Duration = Duration::from_secs(30);
/// The deadline of a list. A page ends after half a second by itself. A filter that no row matches takes longer, because it reads
/// all rows.
const LIST_DEADLINE: Duration = Duration::from_secs(5);
const SEARCH_DEADLINE: Duration = Duration::from_millis(500);

pub(super) struct Readers {
    database: PathBuf,
    /// Reads of a few rows, which `/health`, `POST /task`, single records and the workers need.
    records: Arc<Lane>,
    /// Lists, searches and sums.
    lists: Arc<Lane>,
    /// Pages of events and lines. Their callers are in the middle of a response, so they wait for a free connection.
    logs: Arc<Lane>,
}

impl Readers {
    pub(super) fn new(database: PathBuf) -> Self {
        let lane = |limits| Arc::new(Lane::new(database.clone(), limits));
        Readers { records: lane(lane::RECORDS), lists: lane(lane::LISTS), logs: lane(lane::LOGS), database }
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Waits for running reads and rejects later ones.
    pub(super) async fn close(&self) {
        for lane in [&self.records, &self.lists, &self.logs] {
            lane.close().await;
        }
    }
}

impl Store {
    /// A read of a few rows. It ends early when its caller stops waiting.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.readers.records.run(RECORD_DEADLINE, query).await
    }

    /// A read of many rows. It fails with [`StoreError::Busy`] when too many others are waiting.
    pub(super) async fn read_list<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.readers.lists.run(LIST_DEADLINE, query).await
    }

    /// A search. Its query returns what it has found when it is interrupted.
    async fn read_search<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.readers.lists.run(SEARCH_DEADLINE, query).await
    }

    /// A read of a page of events or lines.
    async fn read_log<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.readers.logs.run(RECORD_DEADLINE, query).await
    }
}
