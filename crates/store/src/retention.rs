//! Removes events and lines: of ended tasks that are too old or exceed the size limit, and of deleted sessions. Removes the
//! records of ended tasks that are too old, and the texts of deleted sessions.

mod tasks;
mod texts;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::damage::DamageLog;
use super::{IDEMPOTENCY_KEY_AGE, StoreError, row};

/// The maximum number of rows per call. Commits wait for a few milliseconds.
pub(super) const ROWS_PER_CALL: usize = 512;

pub(super) struct Plan {
    pub(super) now: Timestamp,
    /// Nanoseconds since 1970. `None` means no limit by age.
    pub(super) ended_before: Option<i64>,
    pub(super) excess_bytes: u64,
    /// The same for the records of tasks.
    pub(super) tasks_ended_before: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Removed {
    rows: usize,
    bytes: u64,
}

/// A task whose events, and all events before them, may be removed.
struct Candidate {
    task: i64,
    /// `None`: the value is damaged, and the session is deleted.
    session: Option<i64>,
    /// Without it, or if it is damaged, the events are removed with those of a later task.
    last_seq: Option<i64>,
}

/// Returns the number of removed rows. Fewer than [`ROWS_PER_CALL`] means that nothing is left to remove.
pub(super) fn prune(connection: &Connection, plan: &Plan, damage: &DamageLog) -> Result<usize, StoreError> {
    let forgotten = forget_idempotency_keys(connection, plan.now)? + forget_webhooks(connection, plan.ended_before)?;
    // A damaged page must not keep the log from its bounds.
    let tasks = tasks::remove(connection, damage, plan.tasks_ended_before);
    let tasks = damage.skip(|| "the tasks that TASK_RETENTION removes".to_owned(), tasks)?;
    let forgotten = forgotten + tasks.unwrap_or(0);
    let mut removed = Removed { rows: forgotten, bytes: 0 };
    while removed.rows < ROWS_PER_CALL {
        let ended_before = if removed.bytes < plan.excess_bytes { Some(i64::MAX) } else { plan.ended_before };
        let Some(ended_before) = ended_before else { break };
        let Some(candidate) = oldest_ended(connection, ended_before)? else { break };
        let part = remove_task(connection, damage, &candidate, ROWS_PER_CALL - removed.rows)?;
        removed = Removed { rows: removed.rows + part.rows, bytes: removed.bytes + part.bytes };
    }
    Ok(removed.rows)
}

/// Removes rows of deleted sessions. Returns true if more are left.
pub(super) fn remove_deleted(connection: &Connection, damage: &DamageLog) -> Result<bool, StoreError> {
    // A page that cannot be read must not keep the events of other sessions.
    let more = damage.skip(|| "the texts of deleted sessions".to_owned(), texts::remove_some(connection, damage))?;
    if more == Some(true) {
        return Ok(true);
    }
    let session: Option<i64> = connection
        .prepare_cached("SELECT number FROM deleted_sessions LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(session) = session else { return Ok(false) };
    let events = remove_events(connection, session, i64::MAX, ROWS_PER_CALL)?;
    let lines = remove_lines(connection, session, None, ROWS_PER_CALL - events.rows)?;
    if events.rows + lines.rows < ROWS_PER_CALL {
        connection.prepare_cached("DELETE FROM deleted_sessions WHERE number = ?1")?.execute([session])?;
    }
    Ok(true)
}

/// Finds the task that ended first, among those whose last event precedes every event of an unfinished task of its
/// session.
fn oldest_ended(connection: &Connection, ended_before: i64) -> Result<Option<Candidate>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT task,
             CASE typeof(session) WHEN 'integer' THEN session ELSE
                 (SELECT number FROM sessions WHERE key = (SELECT session FROM tasks WHERE id = ended.task)) END,
             last_seq
         FROM task_logs AS ended
         WHERE ended.ended < ?1 AND NOT EXISTS (
             SELECT 1 FROM task_logs AS live
             WHERE live.session = ended.session AND live.ended IS NULL AND live.first_seq <= ended.last_seq)
         ORDER BY ended.ended LIMIT 1",
    )?;
    let candidate = statement
        .query_row([ended_before], |row| {
            Ok(Candidate { task: row.get(0)?, session: row.get(1)?, last_seq: row.get(2).unwrap_or_default() })
        })
        .optional()?;
    Ok(candidate)
}

fn remove_task(
    connection: &Connection,
    damage: &DamageLog,
    candidate: &Candidate,
    budget: usize,
) -> Result<Removed, StoreError> {
    let Candidate { task, session, last_seq } = *candidate;
    let mut removed = Removed::default();
    if let Some(session) = session {
        let lines = remove_lines(connection, session, Some(task), budget)?;
        let events = remove_events(connection, session, last_seq.unwrap_or(0), budget - lines.rows)?;
        removed = Removed { rows: lines.rows + events.rows, bytes: lines.bytes + events.bytes };
        let counted = connection
            .prepare_cached("UPDATE sessions SET log_bytes = log_bytes - ?2 WHERE number = ?1")?
            .execute([session, row::integer(removed.bytes)]);
        damage.skip(|| format!("the session in row {session}"), counted.map_err(StoreError::from))?;
    }
    // A task that used up the budget may have more rows. Its own row makes the next call find it again.
    if removed.rows < budget {
        connection.prepare_cached("DELETE FROM task_logs WHERE task = ?1")?.execute([task])?;
        connection.prepare_cached("DELETE FROM webhooks WHERE task = ?1 AND ended IS NOT NULL")?.execute([task])?;
        return Ok(Removed { rows: removed.rows + 1, ..removed });
    }
    Ok(removed)
}

/// Removes events from the session's first one up to and including `last_seq`.
fn remove_events(connection: &Connection, session: i64, last_seq: i64, budget: usize) -> Result<Removed, StoreError> {
    let (removed, last) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(bytes), 0), max(seq) FROM
                 (SELECT seq, length(json) AS bytes FROM events WHERE session = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)",
        )?
        .query_row(params![session, last_seq, row::limit(budget)], measured)?;
    if let Some(last) = last {
        connection.prepare_cached("DELETE FROM events WHERE session = ?1 AND seq <= ?2")?.execute([session, last])?;
    }
    Ok(removed)
}

/// Removes lines of one task, or of the whole session.
fn remove_lines(
    connection: &Connection,
    session: i64,
    task: Option<i64>,
    budget: usize,
) -> Result<Removed, StoreError> {
    // For one task of one session, the index is ordered by `number`.
    let condition = if task.is_some() { "session = ?1 AND task = ?2" } else { "session = ?1 AND ?2 IS NULL" };
    let (removed, last) = connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(bytes), 0), max(number) FROM
                 (SELECT number, length(line) AS bytes FROM lines WHERE {condition} ORDER BY number LIMIT ?3)"
        ))?
        .query_row(params![session, task, row::limit(budget)], measured)?;
    if let Some(last) = last {
        connection
            .prepare_cached(&format!("DELETE FROM lines WHERE {condition} AND number <= ?3"))?
            .execute(params![session, task, last])?;
    }
    Ok(removed)
}

fn measured(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Removed, Option<i64>)> {
    let rows: i64 = row.get(0)?;
    let bytes: i64 = row.get(1)?;
    Ok((Removed { rows: usize::try_from(rows).unwrap_or(0), bytes: row::unsigned(bytes) }, row.get(2)?))
}

/// Removes deliveries that ended before that time. This covers those of deleted sessions, whose logs no longer exist.
fn forget_webhooks(connection: &Connection, ended_before: Option<i64>) -> Result<usize, StoreError> {
    let Some(ended_before) = ended_before else { return Ok(0) };
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM webhooks WHERE number IN
                 (SELECT number FROM webhooks WHERE ended < ?1 ORDER BY ended LIMIT ?2)",
        )?
        .execute(params![ended_before, row::limit(ROWS_PER_CALL)])?;
    Ok(forgotten)
}

fn forget_idempotency_keys(connection: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    let created_before = row::nanos(now).saturating_sub(row::duration(IDEMPOTENCY_KEY_AGE));
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (scope, key) IN
                 (SELECT scope, key FROM idempotency_keys WHERE created < ?1 ORDER BY created LIMIT ?2)",
        )?
        .execute(params![created_before, row::limit(ROWS_PER_CALL)])?;
    Ok(forgotten)
}
