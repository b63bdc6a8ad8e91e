//! The lock of a data directory. The kernel releases it when the process ends, so a crash leaves nothing to clean up.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StoreError;
use super::schema_version::is_missing;

/// The name of the lock file. It contains the process id of its holder, and the word `command` if that is not a server.
pub(super) const LOCK: &str = "lock";

const COMMAND: &str = "command";

/// The process that has locked a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockHolder {
    Server {
        pid: String,
    },
    /// A command such as `restore`, `rekey` or `prune`.
    Command {
        pid: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Serve,
    Command,
}

/// A data directory that no coordinator can use while this value exists.
pub struct Occupied(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Keeps coordinators and other commands away from a data directory. Fails with [`StoreError::Locked`] if one uses it.
pub fn occupy(data_dir: &Path) -> Result<Occupied, StoreError> {
    lock(data_dir, Purpose::Command).map(Occupied)
}

/// Returns the process that uses a data directory, or `None` if none does. It takes a shared lock for a moment, so that a
/// coordinator that starts at the same time is not turned away for longer.
pub fn holder(data_dir: &Path) -> Result<Option<LockHolder>, StoreError> {
    let path = data_dir.join(LOCK);
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(source) => return Err(StoreError::File { path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            lock.read_to_string(&mut text).map_err(StoreError::file(&path))?;
            Ok(Some(LockHolder::parse(&text)))
        }
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

pub(super) fn lock(directory: &Path, purpose: Purpose) -> Result<File, StoreError> {
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
            let mut text = String::new();
            // It only improves the error message, so a failed read does not matter.
            let _ = file.read_to_string(&mut text);
            return Err(StoreError::Locked { path: directory.to_owned(), holder: LockHolder::parse(&text) });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::File { path, source }),
    }
    let suffix = if purpose == Purpose::Command { format!(" {COMMAND}") } else { String::new() };
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}{suffix}", std::process::id()));
    written.map_err(StoreError::file(&path))?;
    Ok(file)
}

impl LockHolder {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let (pid, is_command) = match text.split_once(' ') {
            Some((pid, purpose)) => (pid, purpose == COMMAND),
            None => (text, false),
        };
        let pid = if pid.is_empty() { "unknown".to_owned() } else { pid.to_owned() };
        if is_command { LockHolder::Command { pid } } else { LockHolder::Server { pid } }
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockHolder::Server { pid } => write!(f, "a server (pid {pid})"),
            LockHolder::Command { pid } => write!(f, "a command (pid {pid})"),
        }
    }
}
