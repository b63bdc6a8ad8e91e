//! The data directory.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::lock::{Purpose, lock};
use super::schema_version::{SchemaVersion, schema_version};

/// The name of the key file, unless the configuration names another one.
pub(super) const KEY: &str = "secret.key";

/// The name of the file that names the installation. The first start of a server creates it, after the database.
pub(super) const INSTANCE: &str = "instance";

/// The locked data directory. The lock lasts as long as this value.
pub(super) struct DataDir {
    pub(super) database: PathBuf,
    /// The key file, unless the configuration names another one.
    pub(super) default_key_file: PathBuf,
    _lock: File,
}

impl DataDir {
    pub(super) const DATABASE: &str = "claude-runner.db";

    /// Creates missing files and takes the lock.
    pub(super) fn acquire(path: &Path, purpose: Purpose) -> Result<Self, StoreError> {
        make_directory(path).map_err(StoreError::file(path))?;
        let lock = lock(path, purpose)?;
        let database = make(path)?;
        Ok(DataDir { database, default_key_file: path.join(KEY), _lock: lock })
    }
}

/// Creates the missing directories of the path, accessible only to this user.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates the directory (0700) and an empty database file (0600) if they are missing. Returns the database's path.
pub(super) fn make(path: &Path) -> Result<PathBuf, StoreError> {
    make_directory(path).map_err(StoreError::file(path))?;
    refuse_lost(path)?;
    let database = path.join(DataDir::DATABASE);
    // SQLite gives its -wal and -shm files the mode of the database.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&database)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)))
        .map_err(StoreError::file(&database))?;
    Ok(database)
}

/// Refuses an empty database beside files that a store leaves only after its first transaction.
fn refuse_lost(path: &Path) -> Result<(), StoreError> {
    if !matches!(schema_version(path)?, SchemaVersion::Missing | SchemaVersion::Version(0)) {
        return Ok(());
    }
    match [KEY, INSTANCE].into_iter().find(|name| path.join(name).exists()) {
        Some(beside) => Err(StoreError::LostDatabase { path: path.to_owned(), beside }),
        None => Ok(()),
    }
}
