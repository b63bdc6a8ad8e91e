//! Errors of the store.

use std::io;
use std::path::PathBuf;

use domain::session::{SessionId, SessionKey};
use domain::task::TaskId;
use rusqlite::{ErrorCode, ffi};

use super::lock::LockHolder;

/// An error of the database library. Callers can display it; its type stays inside this crate.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The reason why the store could not do what the caller asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. Nothing of the caller's list was written. The store continues by itself when there is room.
    #[error("the disk of the data directory is full")]
    Full(#[source] Cause),
    #[error("the data directory {} is in use by {holder}", path.display())]
    Locked { path: PathBuf, holder: LockHolder },
    #[error("the database has schema version {found}, this program knows versions up to {known}: use a newer program")]
    Newer { found: i64, known: i64 },
    #[error("the database is damaged: {what}")]
    Corrupt { what: String },
    /// The value was moved from another place or modified. Other values are not affected.
    #[error("{what} of session {session} cannot be opened: it was sealed for another place, or modified")]
    DoesNotOpen { session: SessionId, what: String },
    #[error(
        "another program reads the database, so values of the old key could not be wiped: end it and repeat the command"
    )]
    Wipe,
    #[error("there is no database in {}", path.display())]
    NoDatabase { path: PathBuf },
    #[error(
        "the backup {} has no file `instance` beside it, which names the installation: put it there, or make a new \
         installation with --as-new", path.display()
    )]
    NoInstallation { path: PathBuf },
    #[error("{} has a file {name} already: --as-new needs a DATA_DIR of its own", path.display())]
    NotNew { path: PathBuf, name: &'static str },
    #[error(
        "the key in {} is another installation's: --as-new needs a key file of its own; unset SECRET_KEY_FILE, or name a file that \
         does not exist yet with --secret-key-file", path.display()
    )]
    KeyInUse { path: PathBuf },
    #[error(
        "the restore was interrupted: the earlier files are in {}; move them back, or call restore again after removing the cause",
        directory.display()
    )]
    HalfRestored { directory: PathBuf, source: Box<StoreError> },
    /// Starting with an empty database would make an installation of that name without its sessions.
    #[error(
        "there is no database in {}, but {beside} of an earlier one: put the database back with `claude-runner restore \
         BACKUP`; or, to begin anew, move {beside} away or set DATA_DIR to another directory", path.display()
    )]
    LostDatabase { path: PathBuf, beside: &'static str },
    #[error("the key file {} is not the one that sealed the database: restore the right one", path.display())]
    WrongKey { path: PathBuf },
    #[error("the database was sealed with a key file, but {} does not exist: restore it", path.display())]
    MissingKey { path: PathBuf },
    #[error("the key file {} must have exactly 32 bytes, but has {length}", path.display())]
    MalformedKey { path: PathBuf, length: usize },
    /// Nothing of the caller's list was written. `task` is the task that this key created.
    #[error("the idempotency key was already used for task {task}")]
    IdempotencyKeyUsed { task: TaskId, same_body: bool },
    #[error("session {0} does not exist in the store")]
    NoSuchSession(SessionKey),
    #[error("task {0} does not exist in the store")]
    NoSuchTask(TaskId),
    /// A session id, a session key or a task id already exists.
    #[error("a record of this name already exists: {0}")]
    Duplicate(#[source] Cause),
    /// Event numbers of a session have no gaps: `expected` follows the newest event.
    #[error("session {session} expected event {expected} but got {found}")]
    OutOfSequence { session: SessionKey, expected: u64, found: u64 },
    #[error("the store is closed")]
    Closed,
    /// All connections for lists were in use for a second.
    #[error("too many lists are being read")]
    Busy,
    #[error("a read took longer than its deadline and was ended")]
    TimedOut,
    #[error("could not use {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("could not migrate the database to the current schema")]
    Migration(#[source] Cause),
    #[error("could not encode a record")]
    Encode(#[source] serde_json::Error),
    #[error("the operating system returned no random bytes: {0}")]
    Random(String),
    #[error("could not start the store's writer")]
    Writer(#[source] io::Error),
    #[error("the database failed")]
    Other(#[source] Cause),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};

        if matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
        ) {
            return StoreError::corrupt(error.to_string());
        }
        let Some(cause) = error.sqlite_error() else { return StoreError::Other(error.into()) };
        match (cause.code, cause.extended_code) {
            (ErrorCode::DiskFull, _)
            | (
                ErrorCode::SystemIoFailure,
                // A quota causes a failed write, a full disk under delayed allocation a failed fsync, and a disk
                // without room for the WAL's index a failed resize.
                ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_SHMSIZE,
            ) => StoreError::Full(error.into()),
            (ErrorCode::OperationInterrupted, _) => StoreError::TimedOut,
            // A strict table writes no row that has a value of another type, even if the statement does not change that value.
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _)
            | (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_DATATYPE) => {
                StoreError::Corrupt { what: error.to_string() }
            }
            (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                StoreError::Duplicate(error.into())
            }
            _ => StoreError::Other(error.into()),
        }
    }
}

impl StoreError {
    /// True if a stored row is damaged. Other rows are not affected.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Corrupt { .. } | StoreError::DoesNotOpen { .. })
    }

    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt { what: what.into() }
    }

    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| StoreError::File { path, source }
    }
}
