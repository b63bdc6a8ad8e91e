//! Replaces the key: seals every secret with a new key and wipes everything that the old key opens from the files.
//!
//! First the new key is written beside the old one, as `KEY.new`. Then one transaction seals everything with it,
//! including `key_check`. Only when the database contains nothing that the old key opens is the new key renamed over
//! the old one. At any moment one of the two files therefore opens `key_check` and with it everything; [`settle`] finds
//! out which.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::data_dir::DataDir;
use super::lock::Purpose;
use super::seal::{Place, Sealer, create_key, sync_directory_of};
use super::{StoreError, row, schema};

/// A completed step of [`rekey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RekeyStep {
    /// The new key is on disk, in this file.
    KeyMade(PathBuf),
    /// The number of values sealed with the new key. The old key opens nothing in the database any more.
    Sealed(usize),
    /// Freed pages and the WAL contain nothing that the old key opens.
    Wiped,
    /// The new key has replaced the old one in this file.
    Replaced(PathBuf),
}

/// Seals everything with a new key and reports each step when it is durable. After an error or a crash the store still
/// opens with all values, and `rekey` can be called again. Fails with [`StoreError::Locked`] while a coordinator runs
/// on the directory.
pub fn rekey(
    data_dir: &Path,
    secret_key_file: Option<&Path>,
    mut progress: impl FnMut(RekeyStep),
) -> Result<(), StoreError> {
    if !data_dir.join(DataDir::DATABASE).is_file() {
        return Err(StoreError::NoDatabase { path: data_dir.to_owned() });
    }
    let data_dir = DataDir::acquire(data_dir, Purpose::Command)?;
    let key_file = secret_key_file.unwrap_or(&data_dir.default_key_file);
    let mut connection = schema::open_writer(&data_dir.database)?;
    let old = schema::open_sealer(&connection, key_file)?;
    let key_file = target(key_file)?;
    let new_file = new_beside(&key_file);
    // After an unfinished rekey this file may be the key in use.
    if new_file.exists() {
        finish(&connection, &new_file, &key_file)?;
    }

    create_key(&new_file)?;
    progress(RekeyStep::KeyMade(new_file.clone()));
    // After an error the new file stays: the next open determines if a failed commit took effect.
    let new = Sealer::open(&new_file, false)?;
    progress(RekeyStep::Sealed(seal_again(&mut connection, &old, &new)?));
    wipe(&connection)?;
    progress(RekeyStep::Wiped);
    replace(&new_file, &key_file)?;
    progress(RekeyStep::Replaced(key_file));
    Ok(())
}

/// Resolves an interrupted rekey: the key that opens `check_value` is the right one. Returns `None` if there was no
/// interrupted rekey, or if neither key fits.
pub(super) fn settle(
    connection: &Connection,
    key_file: &Path,
    check_value: &[u8],
) -> Result<Option<Sealer>, StoreError> {
    // If the old key is missing, use its path unresolved.
    let key_file = target(key_file).unwrap_or_else(|_| key_file.to_owned());
    let new_file = new_beside(&key_file);
    if !new_file.exists() {
        return Ok(None);
    }
    if let Ok(old) = Sealer::open(&key_file, false)
        && old.opens(check_value)
    {
        fs::remove_file(&new_file).map_err(StoreError::file(&new_file))?;
        return Ok(Some(old));
    }
    let Some(new) = Sealer::open(&new_file, false).ok().filter(|new| new.opens(check_value)) else { return Ok(None) };
    // All values can be opened, so a full disk must not keep the server from starting.
    if let Err(error) = finish(connection, &new_file, &key_file) {
        tracing::warn!(%error, file = %new_file.display(), "an interrupted rekey could not be finished; this file is the key in use");
    }
    Ok(Some(new))
}

fn finish(connection: &Connection, new_file: &Path, key_file: &Path) -> Result<(), StoreError> {
    wipe(connection)?;
    replace(new_file, key_file)
}

/// The session's key, id and number, the value's name, and the value.
type Sealed = ([u8; 16], String, i64, String, Vec<u8>);

/// The session's key and id, the webhook's number and task, and its target.
type SealedTarget = ([u8; 16], String, i64, i64, Vec<u8>);

fn seal_again(connection: &mut Connection, old: &Sealer, new: &Sealer) -> Result<usize, StoreError> {
    connection.execute_batch("PRAGMA secure_delete = ON")?;
    let transaction = connection.transaction()?;
    let mut count = 0;
    {
        let mut select = transaction.prepare(
            "SELECT sessions.key, sessions.id, session, name, value
             FROM session_env JOIN sessions ON sessions.number = session_env.session",
        )?;
        let mut update = transaction.prepare("UPDATE session_env SET value = ?3 WHERE session = ?1 AND name = ?2")?;
        // Read all rows first, because a query must not see the rows that it changes.
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
        })?;
        let rows: Vec<Sealed> = rows.collect::<Result<_, _>>()?;
        for (key, id, number, name, value) in rows {
            let place = Place::Env { session: row::session_key(key), name: &name };
            let secret = old.unseal(place, &value, &row::session_id(id))?;
            update.execute(params![number, name, new.seal(place, &secret)?])?;
            count += 1;
        }
        let mut select = transaction.prepare(
            "SELECT key, id, number, sandbox_name, sandbox_link_secret FROM sessions WHERE sandbox_name IS NOT NULL",
        )?;
        let mut update = transaction.prepare("UPDATE sessions SET sandbox_link_secret = ?2 WHERE number = ?1")?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
        })?;
        let rows: Vec<Sealed> = rows.collect::<Result<_, _>>()?;
        for (key, id, number, sandbox, value) in rows {
            let place = Place::LinkSecret { session: row::session_key(key), sandbox: &sandbox };
            let secret = old.unseal(place, &value, &row::session_id(id))?;
            update.execute(params![number, new.seal(place, &secret)?])?;
            count += 1;
        }
        let mut select = transaction.prepare("SELECT session, session_id, number, task, target FROM webhooks")?;
        let mut update = transaction.prepare("UPDATE webhooks SET target = ?2 WHERE number = ?1")?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
        })?;
        let rows: Vec<SealedTarget> = rows.collect::<Result<_, _>>()?;
        for (key, id, number, task, value) in rows {
            let task = row::task_id(task)?;
            let place = Place::Webhook { session: row::session_key(key), task: task.as_str() };
            let secret = old.unseal(place, &value, &row::session_id(id))?;
            update.execute(params![number, new.seal(place, &secret)?])?;
            count += 1;
        }
    }
    transaction.execute("UPDATE meta SET value = ?1 WHERE name = 'key_check'", [new.check_value()?])?;
    transaction.commit()?;
    Ok(count)
}

/// Wipes free pages and the WAL, which may contain values that the old key opens.
fn wipe(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("PRAGMA secure_delete = ON; VACUUM")?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(StoreError::Wipe);
    }
    Ok(())
}

fn replace(new_file: &Path, key_file: &Path) -> Result<(), StoreError> {
    fs::rename(new_file, key_file).and_then(|()| sync_directory_of(key_file)).map_err(StoreError::file(key_file))
}

/// Resolves symbolic links: a link to a key stays, and its target is replaced.
fn target(key_file: &Path) -> Result<PathBuf, StoreError> {
    fs::canonicalize(key_file).map_err(StoreError::file(key_file))
}

fn new_beside(key_file: &Path) -> PathBuf {
    let mut name = OsString::from(key_file);
    name.push(".new");
    PathBuf::from(name)
}
