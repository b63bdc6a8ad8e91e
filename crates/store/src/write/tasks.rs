//! Writes tasks and idempotency keys.

use domain::task::{TaskRecord, TaskStatus};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::webhooks;
use crate::row::{self, encode};
use crate::{Change, IDEMPOTENCY_KEY_AGE, IdempotencyKey, StoreError};

/// Longer texts have a row of their own, which a change of the task does not write again. A row of `tasks` then fits into a few pages.
const LARGE_BYTES: usize = 8 * 1024;

pub(super) fn insert(
    connection: &Connection,
    record: &TaskRecord,
    prompt_uuid: Uuid,
    idempotency: Option<&IdempotencyKey>,
) -> Result<(), StoreError> {
    let session_exists =
        connection.prepare_cached("SELECT 1 FROM sessions WHERE key = ?1")?.exists([record.session.as_bytes()])?;
    if !session_exists {
        return Err(StoreError::NoSuchSession(record.session));
    }
    // The message has its own column, so that it can be searched.
    let mut request = record.request.clone();
    let message = std::mem::take(&mut request.message);
    let request = encode(&request)?;
    let is_large = message.len() + request.len() > LARGE_BYTES;
    let (own_message, own_request) = if is_large { ("", "") } else { (&*message, &*request) };
    connection
        .prepare_cached(
            "INSERT INTO tasks (id, session, session_id, status, created, started, finished, prompt_uuid, message, request,
                 failure, answer, attempt, repository)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            row::task_number(&record.id)?,
            record.session.as_bytes(),
            record.session_id.as_str(),
            record.status.as_str(),
            row::nanos(record.created),
            record.started.map(row::nanos),
            record.finished.map(row::nanos),
            prompt_uuid.as_bytes(),
            own_message,
            own_request,
            record.failure.as_ref().map(encode).transpose()?,
            record.answer.as_ref().map(encode).transpose()?,
            record.attempt,
            record.repository.as_ref().map(encode).transpose()?,
        ])?;
    let number = connection.last_insert_rowid();
    if is_large {
        connection
            .prepare_cached("INSERT INTO large_requests (task, message, request) VALUES (?1, ?2, ?3)")?
            .execute(params![number, message, request])?;
    }
    connection.prepare_cached("INSERT INTO unindexed_tasks (number) VALUES (?1)")?.execute([number])?;
    idempotency.map_or(Ok(()), |key| remember(connection, key, record))
}

pub(super) fn update(connection: &Connection, record: &TaskRecord) -> Result<(), StoreError> {
    let task = row::task_number(&record.id)?;
    let answer = record.answer.as_ref().map(encode).transpose()?;
    let (own_answer, large_answer) = match answer {
        Some(answer) if answer.len() > LARGE_BYTES => (None, Some(answer)),
        answer => (answer, None),
    };
    let number: Option<i64> = connection
        .prepare_cached(
            "UPDATE tasks SET status = ?2, started = ?3, finished = ?4, failure = ?5, answer = ?6, attempt = ?7,
                 repository = ?8
             WHERE id = ?1 RETURNING number",
        )?
        .query_row(
            params![
                task,
                record.status.as_str(),
                record.started.map(row::nanos),
                record.finished.map(row::nanos),
                record.failure.as_ref().map(encode).transpose()?,
                own_answer,
                record.attempt,
                record.repository.as_ref().map(encode).transpose()?,
            ],
            |row| row.get(0),
        )
        .optional()?;
    let number = number.ok_or_else(|| StoreError::NoSuchTask(record.id.clone()))?;
    if let Some(answer) = large_answer {
        connection
            .prepare_cached("INSERT OR REPLACE INTO large_answers (task, answer) VALUES (?1, ?2)")?
            .execute(params![number, answer])?;
    } else {
        // An earlier answer would count instead of this one.
        connection.prepare_cached("DELETE FROM large_answers WHERE task = ?1")?.execute([number])?;
    }
    if record.status == TaskStatus::Completed {
        connection.prepare_cached("INSERT OR IGNORE INTO unindexed_tasks (number) VALUES (?1)")?.execute([number])?;
    }
    let ended = record.status.is_final().then(|| row::nanos(record.finished.unwrap_or(record.created)));
    connection.prepare_cached("UPDATE task_logs SET ended = ?2 WHERE task = ?1")?.execute(params![task, ended])?;
    webhooks::make_due(connection, record)
}

/// Fails if the change creates a task with a key that was used in the last 24 hours before the task's creation.
pub(super) fn check_idempotency(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    let Change::InsertTask { record, idempotency: Some(key), .. } = change else { return Ok(()) };
    let used: Option<(i64, [u8; 32])> = connection
        .prepare_cached(
            "SELECT task, body_sha256 FROM idempotency_keys WHERE scope = ?1 AND key = ?2 AND created > ?3",
        )?
        .query_row(
            params![key.scope, key.key, row::nanos(record.created).saturating_sub(row::duration(IDEMPOTENCY_KEY_AGE))],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match used {
        None => Ok(()),
        Some((task, body_sha256)) => {
            Err(StoreError::IdempotencyKeyUsed { task: row::task_id(task)?, same_body: body_sha256 == key.body_sha256 })
        }
    }
}

/// Stores the key. It replaces an expired one.
fn remember(connection: &Connection, key: &IdempotencyKey, record: &TaskRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency_keys (scope, key, body_sha256, task, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            key.scope,
            key.key,
            key.body_sha256,
            row::task_number(&record.id)?,
            row::nanos(record.created)
        ])?;
    Ok(())
}
