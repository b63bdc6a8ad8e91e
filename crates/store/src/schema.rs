//! Connections and the schema: see `migrations/V1__initial.sql` for the tables.

use std::path::Path;
use std::time::Duration;

use refinery::{Migration, Runner};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::seal::Sealer;
use super::{StoreError, data_dir, rekey};

/// We are the only writer; what can hold the database for a moment is a backup taken with another program.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than all statements of a connection.
const CACHED_STATEMENTS: usize = 64;

/// In the order in which they are applied.
const MIGRATIONS: [(&str, &str); 6] = [
    ("V1__initial", include_str!("../migrations/V1__initial.sql")),
    ("V2__api_keys", include_str!("../migrations/V2__api_keys.sql")),
    ("V3__usage", include_str!("../migrations/V3__usage.sql")),
    ("V4__repositories", include_str!("../migrations/V4__repositories.sql")),
    ("V5__webhooks", include_str!("../migrations/V5__webhooks.sql")),
    ("V6__agents", include_str!("../migrations/V6__agents.sql")),
];

/// The one connection that writes, with the schema brought up to date.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Pages of 8 KiB keep events of up to 2,000 bytes inside the tree. It counts only while the file is empty, so it comes first.
    // `synchronous=FULL` makes a commit wait for the disk. The WAL is cut back to 64 MiB after a long read let it grow.
    connection.execute_batch(
        "PRAGMA page_size = 8192;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection of another program of ours, while a server may have the database: its schema brought up to date too.
pub(super) fn open_beside(data_dir: &Path) -> Result<Connection, StoreError> {
    open_writer(&data_dir::make(data_dir)?)
}

/// One that cannot write, whatever it is told. To be opened after the writer, which makes the WAL.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Opens the key file and proves that it is the one this database was sealed with, after a rekey that was cut short too.
pub(super) fn open_sealer(connection: &Connection, key_file: &Path) -> Result<Sealer, StoreError> {
    let check_value = check_value(connection)?;
    if let Some(check_value) = &check_value
        && let Some(sealer) = rekey::settle(connection, key_file, check_value)?
    {
        return Ok(sealer);
    }
    let sealer = Sealer::open(key_file, check_value.is_none())?;
    match check_value {
        Some(value) if sealer.opens(&value) => {}
        Some(_) => return Err(StoreError::WrongKey { path: key_file.to_owned() }),
        None => {
            connection.execute("INSERT INTO meta (name, value) VALUES ('key_check', ?1)", [sealer.check_value()?])?;
        }
    }
    Ok(sealer)
}

pub(super) fn check_value(connection: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    let query = "SELECT value FROM meta WHERE name = 'key_check'";
    Ok(connection.query_row(query, [], |row| row.get(0)).optional()?)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StoreError::Migration(Box::new(error)))?;
    let known = migrations.iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        // Every file in one transaction: half a schema is never seen.
        let runner = Runner::new(&migrations).set_grouped(true);
        runner.run(connection).map_err(|error| StoreError::Migration(Box::new(error)))?;
        connection.pragma_update(None, "user_version", known)?;
    }
    Ok(())
}
