//! Connections and the schema. `migrations/V1__initial.sql` describes the tables.

use std::path::Path;
use std::time::Duration;

use refinery::{Migration, Runner};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::seal::Sealer;
use super::{StoreError, rekey};

/// The time to wait for a locked database. This process is the only writer; only a backup by another program holds a
/// lock for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of cached statements, more than a connection has.
const CACHED_STATEMENTS: usize = 64;

/// The newest schema version that this program supports.
pub const SCHEMA_VERSION: u32 = 14;

/// The migrations in order.
const MIGRATIONS: [(&str, &str); 14] = [
    ("V1__initial", include_str!("../migrations/V1__initial.sql")),
    ("V2__api_keys", include_str!("../migrations/V2__api_keys.sql")),
    ("V3__usage", include_str!("../migrations/V3__usage.sql")),
    ("V4__repositories", include_str!("../migrations/V4__repositories.sql")),
    ("V5__webhooks", include_str!("../migrations/V5__webhooks.sql")),
    ("V6__agents", include_str!("../migrations/V6__agents.sql")),
    ("V7__search", include_str!("../migrations/V7__search.sql")),
    ("V8__webhook_keys", include_str!("../migrations/V8__webhook_keys.sql")),
    ("V9__orphan_volumes", include_str!("../migrations/V9__orphan_volumes.sql")),
    ("V10__epochs", include_str!("../migrations/V10__epochs.sql")),
    ("V11__assumed_prices", include_str!("../migrations/V11__assumed_prices.sql")),
    ("V12__tasks_of_key", include_str!("../migrations/V12__tasks_of_key.sql")),
    ("V13__large_texts", include_str!("../migrations/V13__large_texts.sql")),
    ("V14__asks", include_str!("../migrations/V14__asks.sql")),
];

/// Opens the writing connection and migrates the schema.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(path, flags)?;
    // Pages of 8 KiB keep events of up to 2,000 bytes inside the tree. The setting only takes effect while the file is
    // empty, so it comes first. `synchronous=FULL` makes a commit wait for the disk. The WAL is cut back to 64 MiB
    // after a long read let it grow.
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

/// Opens a read-only connection. The writer must be open first, because it creates the WAL.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Otherwise SQLite parses some statements again for each new parameter, because the parameter may suggest another plan. For short
    // statements that takes more time than to run them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Opens the key file and checks that it sealed this database, also after an interrupted rekey.
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
    let migrations = migrations()?;
    let known = i64::from(SCHEMA_VERSION);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        // All files run in one transaction, so that nobody sees half a schema.
        let runner = Runner::new(&migrations).set_grouped(true);
        runner.run(connection).map_err(|error| StoreError::Migration(Box::new(error)))?;
        connection.pragma_update(None, "user_version", known)?;
    }
    Ok(())
}

fn migrations() -> Result<Vec<Migration>, StoreError> {
    let migrations = MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql));
    migrations.collect::<Result<_, _>>().map_err(|error| StoreError::Migration(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA_VERSION, migrations};

    #[test]
    fn the_newest_migration_is_the_schema_version() {
        let newest = migrations().unwrap().iter().map(refinery::Migration::version).max();
        assert_eq!(newest.map(i64::from), Some(i64::from(SCHEMA_VERSION)));
    }
}
