//! Writes sessions.

use std::collections::{BTreeMap, BTreeSet};

use domain::session::{SandboxRecord, SessionKey, SessionRecord};
use rusqlite::{Connection, OptionalExtension, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::asks;
use crate::seal::{Place, Sealer};
use crate::{StoreError, orphans, row};

pub(super) fn insert(connection: &Connection, sealer: &Sealer, record: &SessionRecord) -> Result<(), StoreError> {
    let sandbox = record.sandbox.as_ref();
    let number: i64 = connection
        .prepare_cached(
            "INSERT INTO sessions (key, id, created, last_active, turns, claude_session_id, last_seq, log_bytes,
                 sandbox_name, sandbox_container_id, sandbox_link_secret, sandbox_last_frame,
                 sandbox_progress, repository, agent, epoch)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) RETURNING number",
        )?
        .query_row(
            params![
                record.key.as_bytes(),
                record.id.as_str(),
                row::nanos(record.created),
                row::nanos(record.last_active),
                row::integer(record.turns),
                record.claude_session_id,
                row::integer(record.last_seq),
                sandbox.map(|sandbox| &sandbox.name),
                sandbox.map(|sandbox| &sandbox.container_id),
                sandbox.map(|sandbox| sealed_link_secret(sealer, record.key, sandbox)).transpose()?,
                sandbox.map(|sandbox| row::integer(sandbox.last_frame)),
                sandbox.and_then(|sandbox| sandbox.progress.as_ref()),
                record.repository.as_ref().map(row::encode).transpose()?,
                record.agent.as_str(),
                row::epoch_number(record.epoch),
            ],
            |row| row.get(0),
        )?;
    write_env(connection, sealer, number, record.key, &record.env)
}

pub(super) fn update(connection: &Connection, sealer: &Sealer, record: &SessionRecord) -> Result<(), StoreError> {
    let sandbox = record.sandbox.as_ref();
    // Expressions on the right see the old row, so frame and progress stay while the sandbox's name stays.
    let updated = connection
        .prepare_cached(
            "UPDATE sessions SET id = ?2, created = ?3, last_active = ?4, turns = ?5, claude_session_id = ?6,
                 sandbox_name = ?7, sandbox_container_id = ?8, sandbox_link_secret = ?9,
                 sandbox_last_frame = CASE WHEN sandbox_name IS ?7 THEN sandbox_last_frame ELSE ?10 END,
                 sandbox_progress = CASE WHEN sandbox_name IS ?7 THEN sandbox_progress ELSE ?11 END,
                 repository = ?12
             WHERE key = ?1",
        )?
        .execute(params![
            record.key.as_bytes(),
            record.id.as_str(),
            row::nanos(record.created),
            row::nanos(record.last_active),
            row::integer(record.turns),
            record.claude_session_id,
            sandbox.map(|sandbox| &sandbox.name),
            sandbox.map(|sandbox| &sandbox.container_id),
            sandbox.map(|sandbox| sealed_link_secret(sealer, record.key, sandbox)).transpose()?,
            sandbox.map(|sandbox| row::integer(sandbox.last_frame)),
            sandbox.and_then(|sandbox| sandbox.progress.as_ref()),
            record.repository.as_ref().map(row::encode).transpose()?,
        ])?;
    if updated == 0 { Err(StoreError::NoSuchSession(record.key)) } else { Ok(()) }
}

/// Replaces the variables of a session. Those that stay the same are not written: a session may have a thousand, and its credential
/// changes often.
pub(super) fn set_env(
    connection: &Connection,
    sealer: &Sealer,
    key: SessionKey,
    env: &BTreeMap<String, SecretString>,
) -> Result<(), StoreError> {
    let number: Option<i64> = connection
        .prepare_cached("SELECT number FROM sessions WHERE key = ?1")?
        .query_row([key.as_bytes()], |row| row.get(0))
        .optional()?;
    let number = number.ok_or(StoreError::NoSuchSession(key))?;
    let kept = kept_variables(connection, sealer, number, key, env)?;
    connection
        .prepare_cached("DELETE FROM session_env WHERE session = ?1 AND name NOT IN (SELECT value FROM json_each(?2))")?
        .execute(params![number, row::encode(&kept)?])?;
    let changed = env.iter().filter(|(name, _)| !kept.contains(*name));
    write_env(connection, sealer, number, key, changed)
}

/// The names whose stored values are those of `env`.
fn kept_variables(
    connection: &Connection,
    sealer: &Sealer,
    number: i64,
    session: SessionKey,
    env: &BTreeMap<String, SecretString>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut select = connection.prepare_cached("SELECT name, value FROM session_env WHERE session = ?1")?;
    let mut rows = select.query([number])?;
    let mut kept = BTreeSet::new();
    while let Some(row) = rows.next()? {
        // A damaged row is written again.
        let (Ok(name), Ok(sealed)) = (row.get::<_, String>(0), row.get::<_, Vec<u8>>(1)) else { continue };
        let Some(value) = env.get(&name) else { continue };
        let stored = sealer.decrypt(Place::Env { session, name: &name }, &sealed);
        if stored.is_some_and(|stored| stored.expose_secret() == value.expose_secret()) {
            kept.insert(name);
        }
    }
    Ok(kept)
}

/// Moves the frame forward, never back. It has no effect if the session no longer has a sandbox.
pub(super) fn move_sandbox(
    connection: &Connection,
    key: SessionKey,
    last_frame: u64,
    progress: &str,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE sessions SET sandbox_last_frame = max(sandbox_last_frame, ?2), sandbox_progress = ?3
             WHERE key = ?1 AND sandbox_name IS NOT NULL",
        )?
        .execute(params![key.as_bytes(), row::integer(last_frame), progress])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, key: SessionKey) -> Result<(), StoreError> {
    // The reference deletes the rows in `session_env`.
    let number: Option<i64> = connection
        .prepare_cached("DELETE FROM sessions WHERE key = ?1 RETURNING number")?
        .query_row([key.as_bytes()], |row| row.get(0))
        .optional()?;
    let number = number.ok_or(StoreError::NoSuchSession(key))?;
    connection.prepare_cached("DELETE FROM task_logs WHERE session = ?1")?.execute([number])?;
    connection.prepare_cached("INSERT INTO deleted_sessions (number) VALUES (?1)")?.execute([number])?;
    orphans::deleted(connection, key)?;
    asks::delete(connection, key)?;
    // Their texts are hidden from now on, and removed later: a queue may have hundreds of megabytes.
    connection
        .prepare_cached("INSERT OR IGNORE INTO deleted_texts (session) VALUES (?1)")?
        .execute([key.as_bytes()])?;
    // A record whose request does not parse ends here if it has not ended: no reader can end it later, and only ended tasks are
    // removed by their age.
    connection
        .prepare_cached(
            "UPDATE tasks INDEXED BY tasks_unfinished SET status = 'aborted'
             WHERE session = ?1 AND status IN ('queued', 'running') AND NOT json_valid(
                 coalesce((SELECT request FROM large_requests WHERE task = number), request))",
        )?
        .execute([key.as_bytes()])?;
    // They are removed from the index too.
    connection
        .prepare_cached("INSERT OR IGNORE INTO unindexed_tasks (number) SELECT number FROM tasks WHERE session = ?1")?
        .execute([key.as_bytes()])?;
    Ok(())
}

fn write_env<'a>(
    connection: &Connection,
    sealer: &Sealer,
    number: i64,
    session: SessionKey,
    env: impl IntoIterator<Item = (&'a String, &'a SecretString)>,
) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached("INSERT INTO session_env (session, name, value) VALUES (?1, ?2, ?3)")?;
    for (name, value) in env {
        let ciphertext = sealer.seal(Place::Env { session, name }, value)?;
        insert.execute(params![number, name, ciphertext])?;
    }
    Ok(())
}

fn sealed_link_secret(sealer: &Sealer, session: SessionKey, sandbox: &SandboxRecord) -> Result<Vec<u8>, StoreError> {
    sealer.seal(Place::LinkSecret { session, sandbox: &sandbox.name }, &sandbox.link_secret)
}
