//! Fills the index of searches, in batches between other commits.

use rusqlite::{Connection, OptionalExtension as _};

use crate::damage::{DamageLog, unread_task_name};
use crate::read::TEXTS;
use crate::{StoreError, row};

/// The bounds of a batch. A commit waits for it: for some milliseconds.
const INDEXED_TASKS: usize = 32;
const INDEXED_BYTES: usize = 16 * 1024;

/// Indexes some tasks that are new or have changed, the newest first. Returns their number; 0 if there are none. A task that
/// cannot be read is left out of the index, so that it does not keep the others out.
pub(crate) fn index(connection: &Connection, damage: &DamageLog) -> Result<usize, StoreError> {
    let (mut tasks, mut bytes) = (0, 0);
    while tasks < INDEXED_TASKS && bytes < INDEXED_BYTES {
        let number: Option<i64> =
            connection.prepare_cached("SELECT max(number) FROM unindexed_tasks")?.query_row([], |row| row.get(0))?;
        let Some(number) = number else { break };
        bytes += index_task(connection, damage, number)?;
        tasks += 1;
    }
    Ok(tasks)
}

/// Returns the bytes that had to be read.
fn index_task(connection: &Connection, damage: &DamageLog, number: i64) -> Result<usize, StoreError> {
    let query = format!(
        "SELECT {TEXTS}, session_id, octet_length(message) + coalesce(octet_length(answer), 0) FROM task_records
         WHERE number = ?1"
    );
    let read = connection.prepare_cached(&query)?.query_row([number], |row| {
        let text = format!("{}\n{}", row::text(row, 0)?, row::text(row, 1)?);
        Ok((text, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    });
    let read = read.optional().map_err(StoreError::from);
    let task = damage.skip(|| unread_task_name(number), read)?.flatten();
    connection.prepare_cached("DELETE FROM task_search WHERE rowid = ?1")?.execute([number])?;
    connection.prepare_cached("DELETE FROM unindexed_tasks WHERE number = ?1")?.execute([number])?;
    let Some((text, session, bytes)) = task else { return Ok(0) };
    connection
        .prepare_cached("INSERT INTO task_search (rowid, session, text) VALUES (?1, ?2, ?3)")?
        .execute((number, session, text))?;
    Ok(usize::try_from(row::unsigned(bytes)).unwrap_or(usize::MAX))
}
