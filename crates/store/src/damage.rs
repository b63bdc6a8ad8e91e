//! Damaged rows. A damaged row affects only its session: lists omit the row, and this module names it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Store, StoreError, inspect, row};

/// The number of damaged rows that are named. With more, the whole database is damaged.
const NAMED: usize = 100;

/// The damage that was found since the start. Clones share it.
#[derive(Clone, Default)]
pub(super) struct DamageLog(Arc<Mutex<BTreeSet<String>>>);

impl DamageLog {
    /// Logs a damaged row once, and keeps its name.
    pub(super) fn note(&self, row: &str, cause: &StoreError) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < NAMED && found.insert(format!("{row}: {cause}")) {
            error!(row, error = cause as &dyn std::error::Error, "a row of the store is damaged; it is skipped");
        }
    }

    pub(super) fn rows(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the decoded row. `None`, after a note, if it is damaged. Other errors, like a deadline, are the caller's.
    pub(super) fn skip<T>(
        &self,
        row: impl FnOnce() -> String,
        decoded: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match decoded {
            Ok(decoded) => Ok(Some(decoded)),
            Err(cause) if cause.is_damage() => {
                self.note(&row(), &cause);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets a row that no longer exists.
    pub(super) fn forget(&self, row: &str) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|named| !named.strip_prefix(row).is_some_and(|rest| rest.starts_with(": ")));
    }
}

/// Names a task whose row may be damaged. `id` is its column.
pub(super) fn task_name(id: Option<i64>, session: &str) -> String {
    let id = id.and_then(|id| row::task_id(id).ok());
    format!("task {} of session {session}", id.map_or_else(|| "without an id".to_owned(), |id| id.to_string()))
}

/// Names a task whose row cannot be read at all.
pub(super) fn unread_task_name(number: i64) -> String {
    format!("task in row {number}")
}

impl Store {
    /// The damaged rows that were found since the start, each in a sentence that names its session or task.
    pub fn damage(&self) -> Vec<String> {
        self.shared.damage.rows()
    }

    /// Checks the whole database if the previous process did not close it. It reads every page once, in the background, and
    /// ends early with `stop`.
    pub async fn check_after_unclean_stop(self, stop: CancellationToken) {
        if !self.shared.unclean {
            return;
        }
        info!("the store was not closed by the last server; it is being checked");
        let database = self.shared.readers.database().to_owned();
        let connection = match inspect::open(&database) {
            Ok(connection) => connection,
            Err(error) => return unchecked(&error),
        };
        let interrupt = connection.get_interrupt_handle();
        let mut check = tokio::task::spawn_blocking(move || quick_check(&connection));
        let outcome = tokio::select! {
            outcome = &mut check => outcome,
            () = stop.cancelled() => {
                interrupt.interrupt();
                // The connection must be closed before the store is.
                let _ = check.await;
                return;
            }
        };
        match outcome {
            Ok(Ok(None)) => info!("the store is whole"),
            Ok(Ok(Some(damage))) => self.shared.damage.note("the database", &StoreError::corrupt(damage)),
            Ok(Err(error)) => unchecked(&error),
            Err(_) => error!("the check of the store ended without a result"),
        }
    }
}

fn unchecked(error: &StoreError) {
    warn!(error = error as &dyn std::error::Error, "the database could not be checked after an unclean stop");
}

/// Returns the first damage that SQLite finds.
pub(super) fn quick_check(connection: &rusqlite::Connection) -> Result<Option<String>, StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(Some(found).filter(|found| found != "ok"))
}

/// True if the process that used the database last did not close it: SQLite removes the log when it is closed.
pub(super) fn is_unclean(database: &Path) -> bool {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log).exists()
}
