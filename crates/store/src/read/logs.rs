//! Queries for events and lines, in pages.

use bytes::Bytes;
use domain::event::StoredEvent;
use domain::session::SessionKey;
use domain::task::TaskId;
use rusqlite::{Connection, OptionalExtension, Params, params};

use crate::{Store, StoreError, row};

/// The size at which a page ends, but never before its first row. It bounds the memory of a subscriber that catches up.
const PAGE_BYTES: usize = 1 << 20;

/// The readable events of a session. There are none if `earliest` is greater than `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventBounds {
    /// The first event that retention has kept; 1 if it has removed nothing.
    pub earliest: u64,
    /// The newest event number; 0 if there is no event.
    pub latest: u64,
}

/// A line of the CLI's stdout. `number` grows with every line and may have gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    pub number: u64,
    pub line: Bytes,
}

/// The condition under which a strict table writes a row of `sessions`: each value has the type of its column.
const WRITABLE: &str = "typeof(key) || typeof(id) || typeof(agent) = 'blobtexttext'
    AND typeof(created) || typeof(last_active) || typeof(turns) || typeof(last_seq) || typeof(log_bytes) || typeof(epoch)
        = 'integerintegerintegerintegerintegerinteger'
    AND typeof(claude_session_id) <> 'blob' AND typeof(sandbox_name) <> 'blob' AND typeof(sandbox_container_id) <> 'blob'
    AND typeof(sandbox_progress) <> 'blob' AND typeof(repository) <> 'blob'
    AND typeof(sandbox_link_secret) IN ('blob', 'null') AND typeof(sandbox_last_frame) IN ('integer', 'null')";

impl Store {
    /// The events after `since`, at most `limit` and about 1 MiB of them, without gaps, with the exact bytes that were
    /// appended. Fewer than `limit` events do not mean the end; an empty list does. If retention has removed events
    /// after `since`, the list starts later; see [`Store::bounds`].
    pub async fn events(&self, session: SessionKey, since: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.read_log(move |connection| {
            let query = "SELECT seq, json FROM events
                 WHERE session = (SELECT number FROM sessions WHERE key = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3";
            let rows = page(connection, query, params![session.as_bytes(), row::integer(since), row::limit(limit)])?;
            Ok(rows.into_iter().map(|(seq, json)| StoredEvent { seq, json }).collect())
        })
        .await
    }

    /// The readable events of a session. `None` if the session does not exist.
    pub async fn bounds(&self, session: SessionKey) -> Result<Option<EventBounds>, StoreError> {
        self.read(move |connection| {
            let bounds = connection
                .prepare_cached(
                    "SELECT coalesce((SELECT min(seq) FROM events WHERE session = number), last_seq + 1), last_seq
                     FROM sessions WHERE key = ?1",
                )?
                .query_row([session.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(bounds.map(|(earliest, latest)| EventBounds {
                earliest: row::unsigned(earliest),
                latest: row::unsigned(latest),
            }))
        })
        .await
    }

    /// The same as [`Store::events`], for one task.
    pub async fn task_events(&self, task: &TaskId, since: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let task = row::task_number(task)?;
        self.read_log(move |connection| {
            let query = "SELECT events.seq, events.json FROM task_logs JOIN events
                 ON events.session = task_logs.session
                     AND events.seq BETWEEN max(task_logs.first_seq, ?2 + 1) AND task_logs.last_seq
                 WHERE task_logs.task = ?1 AND events.task = ?1 ORDER BY events.seq LIMIT ?3";
            // The maximum is one less than the largest number, because the query adds one.
            let since = row::integer(since).min(i64::MAX - 1);
            let rows = page(connection, query, params![task, since, row::limit(limit)])?;
            Ok(rows.into_iter().map(|(seq, json)| StoredEvent { seq, json }).collect())
        })
        .await
    }

    /// The task's lines after number `since` (0 for all), in pages like [`Store::events`].
    pub async fn task_lines(&self, task: &TaskId, since: u64, limit: usize) -> Result<Vec<StoredLine>, StoreError> {
        let task = row::task_number(task)?;
        self.read_log(move |connection| {
            let query = "SELECT number, line FROM lines
                 WHERE session = (SELECT session FROM task_logs WHERE task = ?1) AND task = ?1 AND number > ?2
                 ORDER BY number LIMIT ?3";
            let rows = page(connection, query, params![task, row::integer(since), row::limit(limit)])?;
            Ok(rows.into_iter().map(|(number, line)| StoredLine { number, line }).collect())
        })
        .await
    }

    /// The size of all events and lines in bytes, without the database's overhead. Damaged sessions are left out, because their
    /// sizes cannot be updated, and would keep the bound exceeded.
    pub(crate) async fn log_bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let query = format!("SELECT coalesce(sum(log_bytes) FILTER (WHERE {WRITABLE}), 0) FROM sessions");
            let bytes = connection.prepare_cached(&query)?.query_row([], |row| row.get(0))?;
            Ok(row::unsigned(bytes))
        })
        .await
    }
}

fn page(connection: &Connection, query: &str, parameters: impl Params) -> Result<Vec<(u64, Bytes)>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(parameters)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let content = Bytes::copy_from_slice(row.get_ref(1)?.as_blob().map_err(|_| StoreError::corrupt("a log row"))?);
        bytes += content.len();
        page.push((row::unsigned(row.get(0)?), content));
    }
    Ok(page)
}
