//! The store. The check does not open it, because that would create and migrate it, and would lock out a server that starts at the
//! same time. It reads the lock and the first bytes, and opens an empty store beside it.

use std::path::Path;

use store::{SCHEMA_VERSION, SchemaVersion, Store, StoreError, StoreOptions};
use tempfile::TempDir;

use super::check::{Check, in_words};

const NAME: &str = "store";

pub(super) struct Looked {
    pub(super) check: Check,
    /// A server uses the store.
    pub(super) in_use: bool,
    /// The store was used before, so its key must exist.
    pub(super) has_schema: bool,
}

/// `scratch`: a directory on the same file system.
pub(super) async fn look(data_dir: &Path, scratch: Option<&TempDir>) -> Looked {
    let database = data_dir.join("claude-runner.db");
    let schema = match store::schema_version(data_dir) {
        Ok(schema) => schema,
        Err(error) => return failed(format!("it cannot be read: {}", in_words(&error)), WHOLE, false),
    };
    let has_schema = matches!(schema, SchemaVersion::Version(1..));
    match store::holder(data_dir) {
        Ok(None) => {}
        Ok(Some(holder)) => {
            return Looked { check: Check::ok(NAME, format!("in use by {holder}")), in_use: true, has_schema };
        }
        Err(error) => {
            return failed(format!("the lock in DATA_DIR cannot be read: {}", in_words(&error)), OURS, has_schema);
        }
    }
    let Some(scratch) = scratch else {
        return failed("DATA_DIR cannot be written to".to_owned(), "see to DATA_DIR first", has_schema);
    };
    if let Err(error) = empty_store(&scratch.path().join("store")).await {
        return failed(format!("an empty store cannot be made in DATA_DIR: {}", in_words(&error)), LOCAL, has_schema);
    }
    let known = SCHEMA_VERSION;
    let check = match schema {
        SchemaVersion::Missing => Check::ok(NAME, "not there yet; an empty one could be made and opened"),
        SchemaVersion::Foreign => Check::fail(NAME, format!("{} is not a database", database.display()), WHOLE),
        SchemaVersion::Version(found) if found > known => Check::fail(
            NAME,
            format!("it has schema version {found}, and this program knows versions up to {known}"),
            "use the newer program that made it, or another DATA_DIR",
        ),
        SchemaVersion::Version(found) if found < known => Check::ok(
            NAME,
            format!("not in use; schema version {found}, which the server will bring to {known} when it starts"),
        ),
        SchemaVersion::Version(found) => Check::ok(NAME, format!("not in use; schema version {found}")),
    };
    Looked { check, in_use: false, has_schema }
}

const WHOLE: &str = "put a backup of DATA_DIR in its place, or set DATA_DIR to another directory";
const OURS: &str = "run this as the user that the server runs as";
const LOCAL: &str = "set DATA_DIR to a directory on a local disk: the database needs locks and shared memory";

fn failed(detail: String, remedy: &str, has_schema: bool) -> Looked {
    Looked { check: Check::fail(NAME, detail, remedy), in_use: false, has_schema }
}

/// Creates a store and closes it.
async fn empty_store(directory: &Path) -> Result<(), StoreError> {
    Store::open(directory, StoreOptions::default())?.close().await;
    Ok(())
}

#[cfg(test)]
mod tests;
