//! Queries for tasks.

use std::time::Instant;

use domain::session::{SessionId, SessionKey};
use domain::task::{TaskId, TaskRecord, TaskRequest, TaskStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use uuid::Uuid;

use crate::damage::DamageLog;
use crate::{Cursor, Page, Store, StoreError, row};

const COLUMNS: &str =
    "number, id, session, session_id, status, created, started, finished, prompt_uuid, message, request,
     failure, answer, attempt, repository";

/// A filter of tasks. All fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub status: Option<TaskStatus>,
    pub session_id: Option<SessionId>,
    /// Matches sessions whose ids start with this prefix.
    pub session_prefix: Option<String>,
    /// Matches messages that contain this text. ASCII case does not matter.
    pub text: Option<String>,
}

/// A task that a restarted coordinator continues.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedTask {
    pub record: TaskRecord,
    /// The id of the message to the agent, sent or still to be sent.
    pub prompt_uuid: Uuid,
}

impl Store {
    pub async fn task(&self, id: &TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let number = row::task_number(id)?;
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query([number])?;
            rows.next()?.map(|row| decode(row).map(|(_, task)| task.record)).transpose()
        })
        .await
    }

    /// The tasks that match, newest first.
    pub async fn tasks(
        &self,
        filter: &TaskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>, StoreError> {
        let mut conditions = vec!["1"];
        let mut parameters: Vec<Value> = Vec::new();
        if let Some(cursor) = cursor {
            conditions.push("number < ?");
            parameters.push(cursor.number().into());
        }
        if let Some(status) = filter.status {
            conditions.push("status = ?");
            parameters.push(status.as_str().to_owned().into());
        }
        if let Some(session_id) = &filter.session_id {
            conditions.push("session_id = ?");
            parameters.push(session_id.as_str().to_owned().into());
        }
        if let Some(prefix) = &filter.session_prefix {
            conditions.push("substr(session_id, 1, length(?)) = ?");
            parameters.extend([prefix.clone().into(), prefix.clone().into()]);
        }
        if let Some(text) = &filter.text {
            conditions.push(r"message LIKE ? ESCAPE '\'");
            parameters.push(containing(text).into());
        }
        parameters.push(row::limit(limit.saturating_add(1)).into());
        let tasks = self.select_tasks(&conditions.join(" AND "), parameters, "ORDER BY number DESC LIMIT ?").await?;
        let rows = tasks.into_iter().map(|(number, task)| (number, task.map(|task| task.record)));
        Ok(Page::from_rows(rows.collect(), limit))
    }

    /// The unfinished tasks of one session, in the order of submission, without damaged ones.
    pub async fn unfinished_tasks(&self, session: SessionKey) -> Result<Vec<UnfinishedTask>, StoreError> {
        let key = session.as_bytes().to_vec();
        let condition = "session = ? AND status IN ('queued', 'running')";
        let tasks = self.select_tasks(condition, vec![key.into()], "ORDER BY number").await?;
        Ok(tasks.into_iter().filter_map(|(_, task)| task).collect())
    }

    pub async fn task_count(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let count = connection.prepare_cached("SELECT count(*) FROM tasks")?.query_row([], |row| row.get(0))?;
            Ok(row::unsigned(count))
        })
        .await
    }

    async fn select_tasks(
        &self,
        condition: &str,
        parameters: Vec<Value>,
        order: &str,
    ) -> Result<Vec<(i64, Option<UnfinishedTask>)>, StoreError> {
        let damage = self.shared.damage.clone();
        let query = format!("SELECT {COLUMNS} FROM tasks WHERE {condition} {order}");
        self.read(move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut tasks = Vec::new();
            while let Some(row) = rows.next()? {
                let task = damage.skip(|| name(row), decode(row)).map(|(_, task)| task);
                tasks.push((row.get(0)?, task));
            }
            Ok(tasks)
        })
        .await
    }
}

/// Decodes the tasks, newest first, until the deadline, so that damaged ones are noted.
pub(crate) fn scan(connection: &Connection, damage: &DamageLog, deadline: Instant) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM tasks ORDER BY number DESC"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && Instant::now() < deadline
    {
        damage.skip(|| name(row), decode(row));
    }
    Ok(())
}

/// Names a task whose row may be damaged.
fn name(row: &Row<'_>) -> String {
    let id = row.get(1).map_err(StoreError::from).and_then(row::task_id);
    let session: String = row.get(3).unwrap_or_default();
    format!("task {} of session {session}", id.map_or_else(|_| "without an id".to_owned(), |id| id.to_string()))
}

fn decode(row: &Row<'_>) -> Result<(i64, UnfinishedTask), StoreError> {
    let time = |column| row.get::<_, Option<i64>>(column)?.map(row::timestamp).transpose();
    let request: String = row.get(10)?;
    let record = TaskRecord {
        id: row::task_id(row.get(1)?)?,
        session: row::session_key(row.get(2)?),
        session_id: row::session_id(row.get(3)?),
        status: row::status(&row.get::<_, String>(4)?)?,
        request: TaskRequest { message: row.get(9)?, ..row::json(&request)? },
        created: row::timestamp(row.get(5)?)?,
        started: time(6)?,
        finished: time(7)?,
        attempt: row.get(13)?,
        failure: row.get::<_, Option<String>>(11)?.as_deref().map(row::json).transpose()?,
        answer: row.get::<_, Option<String>>(12)?.as_deref().map(row::json).transpose()?,
        repository: row.get::<_, Option<String>>(14)?.as_deref().map(row::json).transpose()?,
    };
    Ok((row.get(0)?, UnfinishedTask { record, prompt_uuid: Uuid::from_bytes(row.get(8)?) }))
}

/// A LIKE pattern that matches the text literally.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
