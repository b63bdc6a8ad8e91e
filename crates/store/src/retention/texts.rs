//! Removes the texts of deleted sessions' tasks, in batches between other commits.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::ROWS_PER_CALL;
use super::tasks::{TEXT_BYTES, TEXT_BYTES_PER_CALL, alone, remove_record};
use crate::damage::{DamageLog, task_name};
use crate::{StoreError, row};

/// Returns false if there are none left.
pub(super) fn remove_some(connection: &Connection, damage: &DamageLog) -> Result<bool, StoreError> {
    // A number that is damaged begins again.
    let next: Option<(Value, i64)> = connection
        .prepare_cached("SELECT session, removed FROM deleted_texts LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1).unwrap_or_default())))
        .optional()?;
    let Some((session, removed)) = next else { return Ok(false) };
    let tasks = connection
        .prepare_cached(&format!(
            "SELECT number, id, session_id, {TEXT_BYTES} FROM tasks WHERE session = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
        ))?
        .query_map(params![session, removed, row::limit(ROWS_PER_CALL)], |row| {
            let name = task_name(row.get(1).ok(), &row.get::<_, String>(2).unwrap_or_default());
            Ok((row.get::<_, i64>(0)?, name, row::unsigned(row.get(3).unwrap_or_default())))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    if tasks.is_empty() {
        connection.prepare_cached("DELETE FROM deleted_texts WHERE session = ?1")?.execute([session])?;
        return Ok(true);
    }
    let (mut bytes, mut done) = (0, removed);
    for (number, name, size) in tasks {
        if bytes > 0 && bytes + size > TEXT_BYTES_PER_CALL {
            break;
        }
        bytes += size;
        // A row that cannot be changed may still be removed: a record that is lost is better than a text that is shown again.
        if !alone(connection, damage, &name, || remove_texts(connection, number))? {
            alone(connection, damage, &name, || remove_record(connection, number, None))?;
        }
        done = number;
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO deleted_texts (session, removed) VALUES (?1, ?2)")?
        .execute(params![session, done])?;
    Ok(true)
}

/// Writes what `task_records` shows of a deleted session's task into its row.
fn remove_texts(connection: &Connection, number: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE tasks SET (message, request, answer, repository) =
                 (SELECT message, request, answer, repository FROM task_records WHERE task_records.number = ?1)
             WHERE number = ?1",
        )?
        .execute([number])?;
    connection.prepare_cached("DELETE FROM large_requests WHERE task = ?1")?.execute([number])?;
    connection.prepare_cached("DELETE FROM large_answers WHERE task = ?1")?.execute([number])?;
    Ok(())
}
