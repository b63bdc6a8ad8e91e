//! Puts a backup into a data directory.
//!
//! The backup is copied and checked beside the present database. Only then is the present one moved into a directory of its
//! own and the copy put in its place, so that a failure at any moment leaves one of the two.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use domain::task::{ErrorType, Failure};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use super::damage::quick_check;
use super::data_dir::{DataDir, INSTANCE, KEY, make_directory};
use super::lock::{LOCK, occupy};
use super::schema_version::{SchemaVersion, version_of};
use super::seal::{Sealer, sync_directory_of};
use super::{SCHEMA_VERSION, StoreError, inspect, row, schema};

/// The copy while it is made and checked.
const PART: &str = "claude-runner.db.restoring";

/// The files of a database.
const FILES: [&str; 3] = [DataDir::DATABASE, "claude-runner.db-wal", "claude-runner.db-shm"];

/// The installation that a restored database belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredAs {
    /// The installation of the backup, which finds its volumes again.
    Original,
    /// A new one. It has the records and none of the volumes; nothing of it concerns the original.
    New,
}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub sessions: u64,
    pub tasks: u64,
    /// The directory to which the earlier database was moved. `None`: there was none.
    pub replaced: Option<PathBuf>,
}

/// Finds the database of a backup: the file itself, or the one in the directory.
fn database_of(backup: &Path) -> PathBuf {
    if backup.is_dir() { backup.join(DataDir::DATABASE) } else { backup.to_owned() }
}

/// Finds a file that was backed up beside the database.
fn beside(database: &Path, name: &str) -> Option<PathBuf> {
    let path = database.parent().unwrap_or(Path::new("")).join(name);
    path.is_file().then_some(path)
}

/// Returns the name of the installation to which a backup belongs: the one in the backup, or else the data directory's.
pub fn installation(backup: &Path, data_dir: &Path) -> Result<Option<String>, StoreError> {
    let path = beside(&database_of(backup), INSTANCE).unwrap_or_else(|| data_dir.join(INSTANCE));
    match fs::read_to_string(&path) {
        Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::File { path, source }),
    }
}

/// Puts `backup`, a database or a directory with one, into the data directory. `instance` and `secret.key` beside it are
/// restored too. Fails with [`StoreError::Locked`] while a coordinator runs on the data directory.
pub fn restore(
    backup: &Path,
    data_dir: &Path,
    secret_key_file: Option<&Path>,
    restored_as: RestoredAs,
) -> Result<Restored, StoreError> {
    let source = database_of(backup);
    check(&source)?;
    make_directory(data_dir).map_err(StoreError::file(data_dir))?;
    let _lock = occupy(data_dir)?;
    let instance = match restored_as {
        RestoredAs::Original => {
            Some(installation(backup, data_dir)?.ok_or(StoreError::NoInstallation { path: source.clone() })?)
        }
        RestoredAs::New => None,
    };
    if restored_as == RestoredAs::New
        && let Some(name) = [DataDir::DATABASE, INSTANCE].into_iter().find(|name| data_dir.join(name).exists())
    {
        return Err(StoreError::NotNew { path: data_dir.to_owned(), name });
    }

    let part = data_dir.join(PART);
    let result = prepare(&source, &part, data_dir, secret_key_file, restored_as);
    let (key, sessions, tasks) = match result {
        Ok(prepared) => prepared,
        Err(error) => {
            remove_part(data_dir);
            return Err(error);
        }
    };
    let replaced = put_in_place(data_dir, &part, key, instance).inspect_err(|_| remove_part(data_dir))?;
    Ok(Restored { sessions, tasks, replaced })
}

/// Replaces the files of the installation. What may fail is written before the present database is moved.
fn put_in_place(
    data_dir: &Path,
    part: &Path,
    key: Option<NewKey>,
    instance: Option<String>,
) -> Result<Option<PathBuf>, StoreError> {
    let instance = instance.map(|name| (data_dir.join(INSTANCE), Zeroizing::new(name.into_bytes())));
    let files = [key, instance].into_iter().flatten();
    let written = files.map(|(path, content)| write_part(&path, &content).map(|part| (path, part)));
    let written = written.collect::<Result<Vec<_>, _>>()?;
    let replaced = set_aside(data_dir)?;
    let named = |error: StoreError| match &replaced {
        Some(directory) => StoreError::HalfRestored { directory: directory.clone(), source: Box::new(error) },
        None => error,
    };
    for (path, part) in written {
        keep_foreign(&path, data_dir).map_err(named)?;
        rename(&part, &path).map_err(named)?;
    }
    rename(part, &data_dir.join(DataDir::DATABASE)).map_err(named)?;
    for name in [DataDir::DATABASE, LOCK, INSTANCE, KEY] {
        own_like(data_dir, &data_dir.join(name));
    }
    Ok(replaced)
}

/// Refuses a backup that is not a complete database of a version that this program knows.
fn check(source: &Path) -> Result<(), StoreError> {
    match version_of(source)? {
        SchemaVersion::Missing | SchemaVersion::Version(0) => Err(StoreError::NoDatabase { path: source.to_owned() }),
        SchemaVersion::Foreign => Err(StoreError::corrupt(format!("{} is not a database", source.display()))),
        SchemaVersion::Version(found) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { found: found.into(), known: SCHEMA_VERSION.into() })
        }
        SchemaVersion::Version(_) => Ok(()),
    }
}

/// The path of a key file, and the key to write there.
type NewKey = (PathBuf, Zeroizing<Vec<u8>>);

/// Copies the backup, migrates the copy and finds its key.
fn prepare(
    source: &Path,
    part: &Path,
    data_dir: &Path,
    secret_key_file: Option<&Path>,
    restored_as: RestoredAs,
) -> Result<(Option<NewKey>, u64, u64), StoreError> {
    remove_part(data_dir);
    // Created with its mode before SQLite writes to it.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part).map_err(StoreError::file(part))?;
    inspect::open(source)?.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    let connection = schema::open_writer(part)?;
    if let Some(damage) = quick_check(&connection)? {
        return Err(StoreError::corrupt(format!("the backup {}: {damage}", source.display())));
    }
    let key = find_key(&connection, source, data_dir, secret_key_file)?;
    if let (RestoredAs::New, Some((path, _))) = (restored_as, &key)
        && path.exists()
    {
        return Err(StoreError::KeyInUse { path: path.clone() });
    }
    if restored_as == RestoredAs::New {
        begin_new_lives(&connection)?;
    }
    // Events after the backup are lost, and their numbers are given again: each session begins a new life.
    connection.execute("UPDATE sessions SET epoch = random()", [])?;
    // The ages of orphans at the time of the backup mean nothing now.
    connection.execute("DELETE FROM orphan_volumes", [])?;
    let count = |table: &str| {
        let count = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok::<_, StoreError>(row::unsigned(count))
    };
    let counts = (count("sessions")?, count("tasks")?);
    // The copy is one file when it is renamed.
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(part).and_then(|file| file.sync_all()).map_err(StoreError::file(part))?;
    Ok((key, counts.0, counts.1))
}

/// Finds the key that sealed the database. Returns `None` if the key is already in its place or the database has no secrets.
fn find_key(
    connection: &Connection,
    source: &Path,
    data_dir: &Path,
    secret_key_file: Option<&Path>,
) -> Result<Option<NewKey>, StoreError> {
    let Some(check_value) = schema::check_value(connection)? else { return Ok(None) };
    let opens = |path: &Path| Sealer::open(path, false).is_ok_and(|sealer| sealer.opens(&check_value));
    let place = secret_key_file.map_or_else(|| data_dir.join(KEY), Path::to_owned);
    if opens(&place) {
        return Ok(None);
    }
    match beside(source, KEY) {
        Some(path) if opens(&path) => {
            let key = fs::read(&path).map_err(StoreError::file(&path))?;
            Ok(Some((place, Zeroizing::new(key))))
        }
        _ if place.exists() => Err(StoreError::WrongKey { path: place }),
        _ => Err(StoreError::MissingKey { path: place }),
    }
}

/// Removes what belongs to the original: sandboxes, conversations in its volumes, unfinished tasks, open asks,
/// deliveries.
fn begin_new_lives(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(
        "UPDATE sessions SET claude_session_id = NULL, sandbox_name = NULL, sandbox_container_id = NULL,
             sandbox_link_secret = NULL, sandbox_last_frame = NULL, sandbox_progress = NULL;
         DELETE FROM webhooks WHERE state IN ('waiting', 'pending');
         UPDATE asks SET state = 'withdrawn', record = json_set(record, '$.state', 'withdrawn')
             WHERE state = 'open' AND json_valid(record);
         DELETE FROM deleted_storage;",
    )?;
    let now = row::nanos(Timestamp::now());
    let failure = Failure::new(ErrorType::Aborted, "the task belongs to the installation of which this is a copy");
    connection.execute(
        "UPDATE tasks SET status = 'aborted', finished = ?1, failure = ?2 WHERE status IN ('queued', 'running')",
        params![now, row::encode(&failure)?],
    )?;
    connection.execute("UPDATE task_logs SET ended = ?1 WHERE ended IS NULL", params![now])?;
    Ok(())
}

/// Moves the present database and the files of its installation into a separate directory.
fn set_aside(data_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !FILES.iter().any(|name| data_dir.join(name).exists()) {
        return Ok(None);
    }
    let aside = data_dir.join(format!("replaced-{}", time_name()));
    make_directory(&aside).map_err(StoreError::file(&aside))?;
    own_like(data_dir, &aside);
    for name in [INSTANCE, KEY] {
        let path = data_dir.join(name);
        if path.exists() {
            fs::copy(&path, aside.join(name)).map_err(StoreError::file(&path))?;
        }
    }
    for name in FILES {
        let path = data_dir.join(name);
        if path.exists() {
            fs::rename(&path, aside.join(name)).map_err(StoreError::file(&path))?;
        }
    }
    sync_directory_of(&aside).map_err(StoreError::file(&aside))?;
    Ok(Some(aside))
}

/// Keeps a file outside of the data directory that is about to be replaced: a key that other values may need.
fn keep_foreign(path: &Path, data_dir: &Path) -> Result<(), StoreError> {
    if path.parent() == Some(data_dir) || !path.exists() {
        return Ok(());
    }
    let mut kept = path.as_os_str().to_owned();
    kept.push(format!(".replaced-{}", time_name()));
    fs::copy(path, kept).map(drop).map_err(StoreError::file(path))
}

/// Gives a file the owner of the data directory, who may be another user than root, who restores.
fn own_like(data_dir: &Path, path: &Path) {
    if let Ok(owner) = fs::metadata(data_dir) {
        // Only root can, and for others the owner is right already.
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

fn time_name() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string()
}

/// Writes the new content of a file beside it. Returns its path.
fn write_part(path: &Path, content: &[u8]) -> Result<PathBuf, StoreError> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(StoreError::file(path))?;
    Ok(part)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).and_then(|()| sync_directory_of(to)).map_err(StoreError::file(to))
}

fn remove_part(data_dir: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(data_dir.join(format!("{PART}{suffix}")));
    }
}
