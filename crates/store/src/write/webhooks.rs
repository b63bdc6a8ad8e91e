//! Writes webhooks.

use domain::access::KeyId;
use domain::task::{TaskRecord, TaskStatus};
use domain::webhook::{Attempt, Attempted, Outcome, Target, WebhookId};
use rusqlite::{Connection, OptionalExtension, params};

use crate::damage::DamageLog;
use crate::seal::{Place, Sealer};
use crate::{StoreError, row};

pub(super) fn insert(
    connection: &Connection,
    sealer: &Sealer,
    id: WebhookId,
    task: &TaskRecord,
    target: &Target,
) -> Result<(), StoreError> {
    let place = Place::Webhook { session: task.session, task: task.id.as_str() };
    connection
        .prepare_cached(
            "INSERT INTO webhooks (id, task, session, session_id, host, target, key, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting')",
        )?
        .execute(params![
            id.as_bytes(),
            row::task_number(&task.id)?,
            task.session.as_bytes(),
            task.session_id.as_str(),
            target.host(),
            sealer.seal(place, &target.to_text())?,
            task.request.key.as_ref().map_or("", KeyId::as_str),
        ])?;
    Ok(())
}

/// Makes the delivery due in the same commit that ends the task. So no end is forgotten, and no end is delivered that
/// was not stored.
pub(super) fn make_due(connection: &Connection, record: &TaskRecord) -> Result<(), StoreError> {
    let event = match record.status {
        TaskStatus::Completed => "task.completed",
        TaskStatus::Failed => "task.failed",
        TaskStatus::Aborted => "task.aborted",
        TaskStatus::Queued | TaskStatus::Running => return Ok(()),
    };
    let ended = row::nanos(record.finished.unwrap_or(record.created));
    connection
        .prepare_cached(
            "UPDATE webhooks SET state = 'pending', event = ?2, created = ?3, due = ?3
             WHERE task = ?1 AND state = 'waiting'",
        )?
        .execute(params![row::task_number(&record.id)?, event, ended])?;
    Ok(())
}

/// Records an attempt. It has no effect if the delivery no longer exists. A delivery that was replayed during the
/// attempt keeps the attempt and stays due.
pub(super) fn attempted(connection: &Connection, damage: &DamageLog, attempted: &Attempted) -> Result<(), StoreError> {
    let written = write_attempt(connection, attempted);
    // A damaged row cannot be written. Without it the delivery ends.
    if damage.skip(|| format!("the webhook in row {}", attempted.number), written)?.is_none() {
        connection.prepare_cached("DELETE FROM webhooks WHERE number = ?1")?.execute([attempted.number])?;
    }
    Ok(())
}

fn write_attempt(connection: &Connection, attempted: &Attempted) -> Result<(), StoreError> {
    let kept: Option<String> = connection
        .prepare_cached("SELECT attempts FROM webhooks WHERE number = ?1")?
        .query_row([attempted.number], |row| Ok(row.get(0).unwrap_or_default()))
        .optional()?;
    let Some(kept) = kept else { return Ok(()) };
    // Damaged attempts and rounds are replaced, so that the delivery ends.
    let mut attempts: Vec<Attempt> = row::json(&kept).unwrap_or_default();
    attempts.push(attempted.attempt.clone());
    attempts.drain(..attempts.len().saturating_sub(Attempt::KEPT));
    let attempts = serde_json::to_string(&attempts).map_err(StoreError::Encode)?;
    let at = row::nanos(attempted.attempt.time);
    let (state, due, ended) = match attempted.outcome {
        Outcome::Delivered => ("delivered", None, Some(at)),
        Outcome::Failed => ("failed", None, Some(at)),
        Outcome::Again { at } => ("pending", Some(row::nanos(at)), None),
    };
    connection
        .prepare_cached(
            "UPDATE webhooks SET state = ?3, due = ?4, ended = ?5, tries = tries + 1, round = ?2
             WHERE number = ?1 AND (round = ?2 OR typeof(round) <> 'integer')",
        )?
        .execute(params![attempted.number, attempted.round, state, due, ended])?;
    connection
        .prepare_cached("UPDATE webhooks SET attempts = ?2 WHERE number = ?1")?
        .execute(params![attempted.number, attempts])?;
    Ok(())
}

/// Makes a delivery due at once, with all its attempts again.
pub(super) fn replay(connection: &Connection, id: WebhookId) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE webhooks SET state = 'pending', due = 0, ended = NULL, tries = 0, round = round + 1
             WHERE id = ?1 AND state <> 'waiting'",
        )?
        .execute([id.as_bytes()])?;
    Ok(())
}
