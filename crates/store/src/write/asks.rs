//! Writes asks, and the decisions that sessions remember.

use domain::ask::{AskRecord, Remembered};
use domain::session::SessionKey;
use rusqlite::{Connection, params};

use crate::StoreError;
use crate::row::{self, encode};

pub(super) fn insert(connection: &Connection, session: SessionKey, ask: &AskRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO asks (id, session, session_id, task, state, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            ask.id.as_str(),
            session.as_bytes(),
            ask.session_id.as_str(),
            row::task_number(&ask.task_id)?,
            ask.state.as_str(),
            encode(ask)?,
        ])?;
    Ok(())
}

/// An ask ends once.
pub(super) fn end(connection: &Connection, ask: &AskRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE asks SET state = ?2, record = ?3 WHERE id = ?1 AND state = 'open'")?
        .execute(params![ask.id.as_str(), ask.state.as_str(), encode(ask)?])?;
    Ok(())
}

pub(super) fn remember(
    connection: &Connection,
    session: SessionKey,
    remembered: &Remembered,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO ask_rules (session, rule, decision) VALUES (?1, ?2, ?3)")?
        .execute(params![session.as_bytes(), remembered.rule.to_string(), remembered.decision.as_str()])?;
    Ok(())
}

pub(super) fn forget(connection: &Connection, session: SessionKey) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM ask_rules WHERE session = ?1")?.execute([session.as_bytes()])?;
    Ok(())
}

/// Deletes all of a session, because asks have content of its tasks.
pub(super) fn delete(connection: &Connection, session: SessionKey) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM asks WHERE session = ?1")?.execute([session.as_bytes()])?;
    forget(connection, session)
}
