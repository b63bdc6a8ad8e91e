//! The store. It is not opened: that would make it, bring it up to date, and keep a server that starts now from it. Its
//! lock and its first bytes are looked at instead, and an empty one is opened beside it.

mod header;

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::Path;

use store::{Store, StoreOptions};
use tempfile::TempDir;

use self::header::Schema;
use super::check::{Check, in_words};

const NAME: &str = "store";

pub(super) struct Looked {
    pub(super) check: Check,
    /// A server has it.
    pub(super) in_use: bool,
    /// It was used before, so there must be its key.
    pub(super) has_schema: bool,
}

/// `scratch`: a directory on the same file system.
pub(super) async fn look(data_dir: &Path, scratch: Option<&TempDir>) -> Looked {
    let database = data_dir.join("claude-runner.db");
    let schema = match header::read(&database) {
        Ok(schema) => schema,
        Err(error) => return failed(format!("{} cannot be read: {error}", database.display()), WHOLE, false),
    };
    let has_schema = matches!(schema, Schema::Version(1..));
    match holder(data_dir) {
        Ok(None) => {}
        Ok(Some(pid)) => {
            return Looked { check: Check::ok(NAME, format!("in use by pid {pid}")), in_use: true, has_schema };
        }
        Err(error) => {
            return failed(format!("the lock in DATA_DIR cannot be read: {error}"), OURS, has_schema);
        }
    }
    let Some(scratch) = scratch else {
        return failed("DATA_DIR cannot be written to".to_owned(), "see to DATA_DIR first", has_schema);
    };
    let known = match empty_store(&scratch.path().join("store")).await {
        Ok(known) => known,
        Err(error) => return failed(format!("an empty store cannot be made in DATA_DIR: {error}"), LOCAL, has_schema),
    };
    let check = match schema {
        Schema::None => Check::ok(NAME, "not there yet; an empty one could be made and opened"),
        Schema::Foreign => Check::fail(NAME, format!("{} is no database", database.display()), WHOLE),
        Schema::Version(found) if found > known => Check::fail(
            NAME,
            format!("it has schema version {found}, and this program knows versions up to {known}"),
            "use the newer program that made it, or another DATA_DIR",
        ),
        Schema::Version(found) if found < known => Check::ok(
            NAME,
            format!("not in use; schema version {found}, which the server will bring to {known} when it starts"),
        ),
        Schema::Version(found) => Check::ok(NAME, format!("not in use; schema version {found}")),
    };
    Looked { check, in_use: false, has_schema }
}

const WHOLE: &str = "put a backup of DATA_DIR in its place, or set DATA_DIR to another directory";
const OURS: &str = "run this as the user that the server runs as";
const LOCAL: &str = "set DATA_DIR to a directory on a local disk: the database needs locks and shared memory";

fn failed(detail: String, remedy: &str, has_schema: bool) -> Looked {
    Looked { check: Check::fail(NAME, detail, remedy), in_use: false, has_schema }
}

/// The pid of the server that has it. Shared and for a moment, since a server that starts right now would go away again.
fn holder(data_dir: &Path) -> io::Result<Option<String>> {
    let mut lock = match File::open(data_dir.join("lock")) {
        Ok(lock) => lock,
        Err(error) if header::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            lock.read_to_string(&mut pid)?;
            Ok(Some(pid.trim().to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a store, closes it, and gives its schema version: the newest that this program knows.
async fn empty_store(directory: &Path) -> Result<u32, String> {
    let store = Store::open(directory, StoreOptions::default()).map_err(|error| in_words(&error))?;
    store.close().await;
    drop(store);
    match header::read(&directory.join("claude-runner.db")) {
        Ok(Schema::Version(version @ 1..)) => Ok(version),
        Ok(schema) => Err(format!("it was not written ({schema:?})")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
