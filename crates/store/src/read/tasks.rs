//! Queries for tasks.

use std::time::Instant;

use domain::session::{SessionId, SessionKey};
use domain::task::{TaskId, TaskRecord, TaskRequest, TaskStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use uuid::Uuid;

use super::search::Search;
use crate::damage::{DamageLog, task_name};
use crate::page::read_page;
use crate::{Cursor, Page, Store, StoreError, row};

/// The characters of a message and of a context that a list shows. [`Store::tasks`] reads some more, so that its caller sees that
/// a text is longer.
pub const LISTED_CHARS: usize = 2000;

/// The size up to which SQLite hands over a JSON column as it is. A longer one is cut before it leaves SQLite.
const PLAIN_JSON_BYTES: usize = 16 * 1024;

/// The session and the status of a task, without its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlace {
    pub id: TaskId,
    pub session: SessionKey,
    pub session_id: SessionId,
    pub status: TaskStatus,
}

const COLUMNS: &str =
    "number, id, session, session_id, status, created, started, finished, prompt_uuid, message, request,
     failure, answer, attempt, repository,
     EXISTS (SELECT 1 FROM asks WHERE asks.task = task_records.id AND asks.state = 'open'
         AND status IN ('queued', 'running'))";

/// [`COLUMNS`] without the texts of the request. JSON that does not parse passes as it is.
const TEXTLESS_COLUMNS: &str = "number, id, session, session_id, status, created, started, finished, prompt_uuid, '',
     CASE WHEN json_valid(request) THEN json_set(request, '$.context', NULL, '$.metadata', NULL) ELSE request END,
     failure, answer, attempt, repository,
     EXISTS (SELECT 1 FROM asks WHERE asks.task = task_records.id AND asks.state = 'open'
         AND status IN ('queued', 'running'))";

/// A filter of tasks. All fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub status: Option<TaskStatus>,
    pub session_id: Option<SessionId>,
    /// Matches sessions whose ids start with this prefix.
    pub session_prefix: Option<String>,
    /// Matches messages and answers that contain this text in their first 16 KiB. Case does not matter.
    pub text: Option<String>,
}

/// The content of the answers in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Omits output and response.
    Short,
    Whole,
}

/// A task that a restarted coordinator continues.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedTask {
    /// Without the texts of its request, see [`TaskRequest::without_texts`].
    pub record: TaskRecord,
    /// The id of the message to the agent, sent or still to be sent.
    pub prompt_uuid: Uuid,
}

impl Store {
    pub async fn task(&self, id: &TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let number = row::task_number(id)?;
        let query = format!("SELECT {COLUMNS} FROM task_records WHERE id = ?1");
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query([number])?;
            rows.next()?.map(|row| decode(row).map(|(_, task)| task.record)).transpose()
        })
        .await
    }

    /// The request of a task with its texts.
    pub async fn task_request(&self, id: &TaskId) -> Result<TaskRequest, StoreError> {
        let number = row::task_number(id)?;
        let request = self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT message, request FROM task_records WHERE id = ?1")?;
            let mut rows = statement.query([number])?;
            rows.next()?.map(|row| request(row, [0, 1])).transpose()
        });
        request.await?.ok_or_else(|| StoreError::NoSuchTask(id.clone()))
    }

    /// Where a task belongs and how far it is, without its texts, which may have megabytes.
    pub async fn task_place(&self, id: &TaskId) -> Result<Option<TaskPlace>, StoreError> {
        let number = row::task_number(id)?;
        let task = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT session, session_id, status FROM tasks WHERE id = ?1")?;
            let mut rows = statement.query([number])?;
            let place = |row: &Row<'_>| {
                Ok(TaskPlace {
                    id: task,
                    session: row::session_key(row.get(0)?),
                    session_id: row::session_id(row.get(1)?),
                    status: row::status(row::text(row, 2)?)?,
                })
            };
            rows.next()?.map(place).transpose()
        })
        .await
    }

    /// One task as [`Store::tasks`] returns it, without output and response.
    pub async fn listed_task(&self, id: &TaskId) -> Result<Option<TaskRecord>, StoreError> {
        let number = row::task_number(id)?;
        let query = format!("SELECT {} FROM task_records WHERE id = ?1", listed_columns(Answers::Short));
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query([number])?;
            rows.next()?.map(|row| read_listed(row, Answers::Short).map(|(_, record)| record)).transpose()
        })
        .await
    }

    /// The tasks that match, newest first. Of a long message or context, it reads the beginning.
    pub async fn tasks(
        &self,
        filter: &TaskFilter,
        answers: Answers,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<TaskRecord>, StoreError> {
        let conditions = Conditions::of(filter);
        if let Some(text) = filter.text.clone().filter(|text| !text.is_empty()) {
            let session = filter.session_id.as_ref().map(SessionId::as_str).or(filter.session_prefix.as_deref());
            let session_prefix = session.unwrap_or_default().to_owned();
            let damage = self.shared.damage.clone();
            let search = Search { text, conditions, session_prefix, answers, cursor, limit, damage };
            return self.read_search(move |connection| search.run(connection)).await;
        }
        let query = format!(
            "SELECT {} FROM task_records WHERE number < ? AND {} ORDER BY number DESC LIMIT ?",
            listed_columns(answers),
            conditions.text()
        );
        let mut parameters: Vec<Value> = vec![cursor.map_or(i64::MAX, Cursor::number).into()];
        parameters.extend_from_slice(conditions.parameters());
        parameters.push(row::limit(limit.saturating_add(1)).into());
        let damage = self.shared.damage.clone();
        self.read_list(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            read_page(&mut rows, limit, |row| Ok((row.get(0)?, damage.skip(|| name(row), read_listed(row, answers))?)))
        })
        .await
    }

    /// The unfinished tasks of one session, in the order of submission, without damaged ones.
    pub async fn unfinished_tasks(&self, session: SessionKey) -> Result<Vec<UnfinishedTask>, StoreError> {
        let key = session.as_bytes().to_vec();
        // SQLite would take the index of all tasks of a session.
        let condition = "number IN (SELECT number FROM tasks INDEXED BY tasks_unfinished
             WHERE session = ? AND status IN ('queued', 'running'))";
        let tasks = self.select_tasks(TEXTLESS_COLUMNS, condition, vec![key.into()], "ORDER BY number").await?;
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
        columns: &str,
        condition: &str,
        parameters: Vec<Value>,
        order: &str,
    ) -> Result<Vec<(i64, Option<UnfinishedTask>)>, StoreError> {
        let damage = self.shared.damage.clone();
        let query = format!("SELECT {columns} FROM task_records WHERE {condition} {order}");
        self.read(move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            let mut tasks = Vec::new();
            while let Some(row) = rows.next()? {
                let task = damage.skip(|| name(row), decode(row))?.map(|(_, task)| task);
                tasks.push((row.get(0)?, task));
            }
            Ok(tasks)
        })
        .await
    }
}

/// Decodes the tasks, newest first, until the deadline, so that damaged ones are noted.
pub(crate) fn scan(connection: &Connection, damage: &DamageLog, deadline: Instant) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM task_records ORDER BY number DESC"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && Instant::now() < deadline
    {
        damage.skip(|| name(row), decode(row))?;
    }
    Ok(())
}

/// Names a task whose row may be damaged.
pub(super) fn name(row: &Row<'_>) -> String {
    task_name(row.get(1).ok(), &row.get::<_, String>(3).unwrap_or_default())
}

/// The conditions of a filter besides its text.
pub(super) struct Conditions {
    text: String,
    parameters: Vec<Value>,
}

impl Conditions {
    fn of(filter: &TaskFilter) -> Self {
        let mut conditions = vec!["1"];
        let mut parameters: Vec<Value> = Vec::new();
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
        Conditions { text: conditions.join(" AND "), parameters }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn parameters(&self) -> &[Value] {
        &self.parameters
    }
}

/// A row of [`listed_columns`]: its size in memory, and the record.
pub(super) fn read_listed(row: &Row<'_>, answers: Answers) -> Result<(usize, TaskRecord), StoreError> {
    let (_, mut task) = decode(row)?;
    if let (Answers::Short, Some(answer)) = (answers, &mut task.record.answer) {
        (answer.output, answer.response) = (None, None);
    }
    let record = &mut task.record;
    let failure = record.failure.as_mut().map(|failure| &mut failure.error);
    let summary = record.repository.as_mut().and_then(|repository| repository.summary.as_mut());
    [record.request.context.as_mut(), failure, summary].into_iter().flatten().for_each(shorten);
    Ok((row_bytes(row)?, task.record))
}

/// Cuts a text that SQLite did not cut.
fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(LISTED_CHARS + 1) {
        text.truncate(end);
        text.shrink_to_fit();
    }
}

/// [`COLUMNS`], with long texts cut by SQLite, which holds one row at a time. JSON that does not parse passes as it is.
pub(super) fn listed_columns(answers: Answers) -> String {
    let cut = LISTED_CHARS + 1;
    let bytes = 4 * cut;
    let short = |column: &str, replaced: &str| {
        format!(
            "CASE WHEN octet_length({column}) > {PLAIN_JSON_BYTES} AND json_valid({column})
                 THEN json_replace({column}, {replaced}) ELSE {column} END"
        )
    };
    let cut_text = |column: &str, member: &str| {
        let cut = short(column, &format!("'$.{member}', substr({column} ->> '$.{member}', 1, {cut})"));
        // SQLite would cut at the NUL.
        format!("CASE WHEN instr({column}, '\\u0000') THEN {column} ELSE {cut} END")
    };
    let [request, failure, repository] = [("request", "context"), ("failure", "error"), ("repository", "summary")]
        .map(|(column, member)| cut_text(column, member));
    let answer = match answers {
        Answers::Short => short(
            "answer",
            &format!(
                "'$.output', NULL, '$.response', NULL, '$.tools',
                 json((SELECT json_group_array(value) FROM
                     (SELECT value FROM json_each(answer, '$.tools') LIMIT {LISTED_CHARS})))"
            ),
        ),
        Answers::Whole => "answer".to_owned(),
    };
    format!(
        "number, id, session, session_id, status, created, started, finished, prompt_uuid, substr(CAST(message AS BLOB), 1, {bytes}),
         {request}, {failure}, {answer}, attempt, {repository},
         EXISTS (SELECT 1 FROM asks WHERE asks.task = task_records.id AND asks.state = 'open'
         AND status IN ('queued', 'running'))"
    )
}

/// The size of the columns of a row that may be long.
fn row_bytes(row: &Row<'_>) -> Result<usize, StoreError> {
    let mut bytes = 0;
    for column in [9, 10, 11, 12, 14] {
        if let Ok(text) = row.get_ref(column)?.as_bytes_or_null() {
            bytes += text.map_or(0, <[u8]>::len);
        }
    }
    Ok(bytes)
}

fn request(row: &Row<'_>, [message, rest]: [usize; 2]) -> Result<TaskRequest, StoreError> {
    let (message, rest) = (row::text(row, message)?.to_owned(), row.get_ref(rest)?);
    let rest = rest.as_str().map_err(|_| StoreError::corrupt("a task's request"))?;
    Ok(TaskRequest { message, ..row::json(rest)? })
}

fn decode(row: &Row<'_>) -> Result<(i64, UnfinishedTask), StoreError> {
    let time = |column| row.get::<_, Option<i64>>(column)?.map(row::timestamp).transpose();
    let record = TaskRecord {
        id: row::task_id(row.get(1)?)?,
        session: row::session_key(row.get(2)?),
        session_id: row::session_id(row.get(3)?),
        status: row::status(&row.get::<_, String>(4)?)?,
        request: request(row, [9, 10])?,
        created: row::timestamp(row.get(5)?)?,
        started: time(6)?,
        finished: time(7)?,
        attempt: row.get(13)?,
        failure: row.get::<_, Option<String>>(11)?.as_deref().map(row::json).transpose()?,
        answer: row.get::<_, Option<String>>(12)?.as_deref().map(row::json).transpose()?,
        repository: row.get::<_, Option<String>>(14)?.as_deref().map(row::json).transpose()?,
        waiting: row.get(15)?,
    };
    Ok((row.get(0)?, UnfinishedTask { record, prompt_uuid: Uuid::from_bytes(row.get(8)?) }))
}
