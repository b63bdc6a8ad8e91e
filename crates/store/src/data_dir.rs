//! The data directory and its lock.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::schema_version::{SchemaVersion, is_missing, schema_version};

/// The name of the lock file. It contains the process id of its holder.
pub(super) const LOCK: &str = "lock";

/// The name of the key file, unless the configuration names another one.
pub(super) const KEY: &str = "secret.key";

/// The name of the file that names the installation. The first start of a server creates it, after the database.
pub(super) const INSTANCE: &str = "instance";

/// The locked data directory. The lock lasts as long as this value. The kernel releases it when the process ends, so a
/// crash leaves nothing to clean up.
pub(super) struct DataDir {
    pub(super) database: PathBuf,
    /// The key file, unless the configuration names another one.
    pub(super) default_key_file: PathBuf,
    _lock: File,
}

impl DataDir {
    pub(super) const DATABASE: &str = "claude-runner.db";

    /// Creates missing files and takes the lock.
    pub(super) fn acquire(path: &Path) -> Result<Self, StoreError> {
        make_directory(path).map_err(StoreError::file(path))?;
        let lock = lock(path)?;
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

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::file(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number only improves the error message, so a failed read does not matter.
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(StoreError::Locked { path: directory.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::File { path, source }),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(StoreError::file(&path))?;
    Ok(file)
}

/// A data directory that no coordinator can use while this value exists.
pub struct Occupied(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Keeps coordinators away from a data directory. Fails with [`StoreError::Locked`] if one runs on it.
pub fn occupy(data_dir: &Path) -> Result<Occupied, StoreError> {
    lock(data_dir).map(Occupied)
}

/// Returns the process id of the coordinator that runs on a data directory, or `None` if none does. It takes a shared lock
/// for a moment, so that a coordinator that starts at the same time is not turned away for longer.
pub fn holder(data_dir: &Path) -> Result<Option<String>, StoreError> {
    let path = data_dir.join(LOCK);
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(source) => return Err(StoreError::File { path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            lock.read_to_string(&mut pid).map_err(StoreError::file(&path))?;
            Ok(Some(pid.trim().to_owned()))
        }
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}
