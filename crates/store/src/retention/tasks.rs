//! Removes tasks, each on its own: a row that cannot be changed does not keep the others.

use rusqlite::{Connection, params};

use super::ROWS_PER_CALL;
use crate::damage::{DamageLog, task_name};
use crate::{StoreError, row};

/// The maximum size of the texts that a call removes, if they are several. SQLite frees each page of a long text.
pub(super) const TEXT_BYTES_PER_CALL: u64 = 4 * 1024 * 1024;

/// An expression for the size of a task's texts. SQLite computes it without reading them.
pub(super) const TEXT_BYTES: &str = "octet_length(message) + octet_length(request) + coalesce(octet_length(answer), 0)
    + coalesce((SELECT octet_length(message) + octet_length(request) FROM large_requests WHERE task = number), 0)
    + coalesce((SELECT octet_length(answer) FROM large_answers WHERE task = number), 0)";

/// Removes the records of ended tasks, oldest end first, with their idempotency keys and their places in the index of searches.
/// A task stays while its webhook is pending, because the body of the webhook is its record. Returns [`ROWS_PER_CALL`] if more may
/// be left. A record that does not decode is removed like any other. A row that cannot be removed is skipped, so that it does not
/// keep the younger ones.
pub(super) fn remove(
    connection: &Connection,
    damage: &DamageLog,
    ended_before: Option<i64>,
) -> Result<usize, StoreError> {
    let Some(ended_before) = ended_before else { return Ok(0) };
    let mut select = connection.prepare_cached(&format!(
        "SELECT number, id, {TEXT_BYTES}, session_id
         FROM tasks
         WHERE status IN ('completed', 'failed', 'aborted') AND coalesce(finished, created) < ?1
             AND NOT EXISTS (SELECT 1 FROM webhooks WHERE webhooks.task = tasks.id AND state = 'pending')
         ORDER BY coalesce(finished, created) LIMIT ?2",
    ))?;
    let tasks = select.query_map(params![ended_before, row::limit(ROWS_PER_CALL)], |row| {
        let session: String = row.get(3).unwrap_or_default();
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1).ok(), row::unsigned(row.get(2).unwrap_or_default()), session))
    })?;
    let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
    let (mut removed, mut bytes) = (0, 0);
    for (number, task, size, session) in tasks {
        if bytes > 0 && bytes + size > TEXT_BYTES_PER_CALL {
            return Ok(ROWS_PER_CALL);
        }
        let name = task_name(task, &session);
        // Only removed rows count. Otherwise a caller that prunes until nothing is left would never end.
        if alone(connection, damage, &name, || remove_record(connection, number, task))? {
            damage.forget(&name);
            (removed, bytes) = (removed + 1, bytes + size);
        }
    }
    Ok(removed)
}

/// `task` is `None` if its id is damaged.
pub(super) fn remove_record(connection: &Connection, number: i64, task: Option<i64>) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM task_search WHERE rowid = ?1",
        "DELETE FROM unindexed_tasks WHERE number = ?1",
        "DELETE FROM large_requests WHERE task = ?1",
        "DELETE FROM large_answers WHERE task = ?1",
        "DELETE FROM tasks WHERE number = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([number])?;
    }
    for statement in [
        "DELETE FROM idempotency_keys WHERE task = ?1",
        "DELETE FROM webhooks WHERE task = ?1",
        "DELETE FROM asks WHERE task = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([task])?;
    }
    Ok(())
}

/// Changes rows of one task. Returns false, after a note and with the rows as they were, if one of them is damaged.
pub(super) fn alone(
    connection: &Connection,
    damage: &DamageLog,
    name: &str,
    change: impl FnOnce() -> Result<(), StoreError>,
) -> Result<bool, StoreError> {
    connection.prepare_cached("SAVEPOINT task")?.execute([])?;
    let outcome = change();
    // After some errors, SQLite rolls back the whole transaction itself.
    if connection.is_autocommit() {
        return outcome.map(|()| false);
    }
    if outcome.is_err() {
        connection.prepare_cached("ROLLBACK TO task")?.execute([])?;
    }
    connection.prepare_cached("RELEASE task")?.execute([])?;
    Ok(damage.skip(|| name.to_owned(), outcome)?.is_some())
}
