//! A look at the store of a data directory that a server may use. It changes nothing.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::session::SessionKey;
use rusqlite::{Connection, OpenFlags};

use super::damage::DamageLog;
use super::data_dir::DataDir;
use super::keys;
use super::orphans::{self, OrphanVolume};
use super::read::{sessions, tasks, webhooks};
use super::schema_version::{SchemaVersion, schema_version};
use super::seal::Sealer;
use super::write::usage;
use super::{SCHEMA_VERSION, StoreError, schema};

/// A store that is only read.
pub struct Inspection {
    connection: Connection,
}

/// Opens the store of a data directory for reading. `None` if there is none, or if it has another schema than this
/// program's.
pub fn inspect(data_dir: &Path) -> Result<Option<Inspection>, StoreError> {
    if schema_version(data_dir)? != SchemaVersion::Version(SCHEMA_VERSION) {
        return Ok(None);
    }
    let connection = open(&data_dir.join(DataDir::DATABASE))?;
    Ok(Some(Inspection { connection }))
}

impl Inspection {
    /// The volumes that a server recorded as having no session.
    pub fn orphan_volumes(&self) -> Result<Vec<OrphanVolume>, StoreError> {
        orphans::orphans(&self.connection, &DamageLog::default())
    }

    /// The damaged rows, each in a sentence that names its session or task. Tasks are read newest first and until the time
    /// limit.
    pub fn damage(&self, key_file: &Path, limit: Duration) -> Result<Vec<String>, StoreError> {
        let damage = DamageLog::default();
        let deadline = Instant::now() + limit;
        if let Some(sealer) = Sealer::open(key_file, false).ok().filter(|sealer| self.opens(sealer)) {
            sessions::scan(&self.connection, &sealer, &damage)?;
            webhooks::scan(&self.connection, &sealer, &damage)?;
        }
        keys::read(&self.connection, &damage)?;
        usage::scan(&self.connection, &damage)?;
        tasks::scan(&self.connection, &damage, deadline)?;
        Ok(damage.rows())
    }

    fn opens(&self, sealer: &Sealer) -> bool {
        schema::check_value(&self.connection).is_ok_and(|value| value.is_some_and(|value| sealer.opens(&value)))
    }

    /// True if the session exists.
    pub fn has_session(&self, session: SessionKey) -> Result<bool, StoreError> {
        orphans::has_session(&self.connection, session)
    }
}

/// Opens a database without creating files beside it.
pub(super) fn open(database: &Path) -> Result<Connection, StoreError> {
    let mut log = OsString::from(database);
    log.push("-wal");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let path = database.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    // Without a log, SQLite would create one. A database without a log is not in use.
    let immutable = if Path::new(&log).exists() { "" } else { "?immutable=1" };
    let connection = Connection::open_with_flags(format!("file:{path}{immutable}"), flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}
