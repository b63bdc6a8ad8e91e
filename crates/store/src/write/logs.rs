//! Appends events and lines. This is the hot path: the rows themselves and one cheap update.

use bytes::Bytes;
use domain::event::StoredEvent;
use domain::session::SessionKey;
use domain::task::TaskId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{StoreError, row};

pub(super) fn append_events(
    connection: &Connection,
    session: SessionKey,
    task: Option<&TaskId>,
    events: &[StoredEvent],
) -> Result<(), StoreError> {
    let bytes = events.iter().map(|event| event.json.len()).sum();
    let (number, newest) = grow_log(connection, session, events.len(), bytes)?;
    let task = task.map(row::task_number).transpose()?;
    let mut insert =
        connection.prepare_cached("INSERT INTO events (session, seq, task, json) VALUES (?1, ?2, ?3, ?4)")?;
    for (expected, event) in (newest + 1..).zip(events) {
        if event.seq != expected {
            return Err(StoreError::OutOfSequence { session, expected, found: event.seq });
        }
        insert.execute(params![number, row::integer(event.seq), task, event.json.as_ref()])?;
    }
    match (task, events.first(), events.last()) {
        (Some(task), Some(first), Some(last)) => extend_task_log(connection, number, task, Some((first.seq, last.seq))),
        _ => Ok(()),
    }
}

pub(super) fn append_lines(
    connection: &Connection,
    session: SessionKey,
    task: &TaskId,
    lines: &[Bytes],
) -> Result<(), StoreError> {
    let (number, _) = grow_log(connection, session, 0, lines.iter().map(Bytes::len).sum())?;
    let task = row::task_number(task)?;
    let mut insert = connection.prepare_cached("INSERT INTO lines (session, task, line) VALUES (?1, ?2, ?3)")?;
    for line in lines {
        insert.execute(params![number, task, line.as_ref()])?;
    }
    extend_task_log(connection, number, task, None)
}

/// Returns the session's number, and its newest event before the new ones.
fn grow_log(
    connection: &Connection,
    session: SessionKey,
    events: usize,
    bytes: usize,
) -> Result<(i64, u64), StoreError> {
    let grown: Option<(i64, i64)> = connection
        .prepare_cached(
            "UPDATE sessions SET last_seq = last_seq + ?2, log_bytes = log_bytes + ?3
             WHERE key = ?1 RETURNING number, last_seq",
        )?
        .query_row(params![session.as_bytes(), row::limit(events), row::limit(bytes)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (number, newest) = grown.ok_or(StoreError::NoSuchSession(session))?;
    Ok((number, row::unsigned(newest - row::limit(events))))
}

/// Records the range of the task's events. Events after the task's end still belong to it.
fn extend_task_log(
    connection: &Connection,
    session: i64,
    task: i64,
    range: Option<(u64, u64)>,
) -> Result<(), StoreError> {
    let written = connection
        .prepare_cached(
            "INSERT INTO task_logs (task, session, first_seq, last_seq, ended)
             SELECT id, ?2, ?3, ?4, CASE WHEN status IN ('queued', 'running') THEN NULL ELSE coalesce(finished, created) END
             FROM tasks WHERE id = ?1
             ON CONFLICT (task) DO UPDATE SET
                 first_seq = coalesce(first_seq, excluded.first_seq), last_seq = coalesce(excluded.last_seq, last_seq)",
        )?
        .execute(params![
            task,
            session,
            range.map(|(first, _)| row::integer(first)),
            range.map(|(_, last)| row::integer(last))
        ])?;
    if written == 0 {
        return Err(StoreError::NoSuchTask(row::task_id(task)?));
    }
    Ok(())
}
