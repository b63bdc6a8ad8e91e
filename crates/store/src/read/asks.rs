//! Queries for asks.

use domain::ask::{AskDecision, AskId, AskRecord, AskState, Remembered};
use domain::session::{SessionId, SessionKey};
use domain::task::TaskId;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use crate::page::read_page;
use crate::{Cursor, Page, Store, StoreError, row};

/// The order of `GET /asks`: open ones first, then newest first. The schema has an index of it.
const ORDER: &str = "number + CASE state WHEN 'open' THEN 4611686018427387904 ELSE 0 END";

/// A filter of asks. All fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskFilter {
    pub state: Option<AskState>,
    pub session_id: Option<SessionId>,
    pub task: Option<TaskId>,
    /// Matches sessions whose ids start with this prefix.
    pub session_prefix: Option<String>,
}

impl Store {
    pub async fn ask(&self, id: &AskId) -> Result<Option<AskRecord>, StoreError> {
        let id = id.as_str().to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT record FROM asks WHERE id = ?1")?;
            let record: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
            record.as_deref().map(row::json).transpose()
        })
        .await
    }

    /// The asks that match, open ones first, then newest first.
    pub async fn asks(
        &self,
        filter: &AskFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<AskRecord>, StoreError> {
        let mut conditions = vec![format!("{ORDER} < ?")];
        let mut parameters: Vec<Value> = vec![cursor.map_or(i64::MAX, Cursor::number).into()];
        if let Some(state) = filter.state {
            conditions.push("state = ?".to_owned());
            parameters.push(state.as_str().to_owned().into());
        }
        if let Some(session_id) = &filter.session_id {
            conditions.push("session_id = ?".to_owned());
            parameters.push(session_id.as_str().to_owned().into());
        }
        if let Some(task) = &filter.task {
            conditions.push("task = ?".to_owned());
            parameters.push(row::task_number(task)?.into());
        }
        if let Some(prefix) = &filter.session_prefix {
            conditions.push("substr(session_id, 1, length(?)) = ?".to_owned());
            parameters.extend([prefix.clone().into(), prefix.clone().into()]);
        }
        parameters.push(row::limit(limit.saturating_add(1)).into());
        let query = format!(
            "SELECT {ORDER}, session_id, record FROM asks WHERE {} ORDER BY {ORDER} DESC LIMIT ?",
            conditions.join(" AND ")
        );
        let damage = self.shared.damage.clone();
        self.read_list(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            read_page(&mut rows, limit, |row| Ok((row.get(0)?, damage.skip(|| name(row), decode(row))?)))
        })
        .await
    }

    /// The open asks of a session, oldest first.
    pub async fn open_asks(&self, session: SessionKey) -> Result<Vec<AskRecord>, StoreError> {
        let key = session.as_bytes().to_vec();
        let query = "SELECT number, session_id, record FROM asks WHERE session = ?1 AND state = 'open' ORDER BY number";
        self.all_asks(query, key.into()).await
    }

    /// The open asks of a task, oldest first.
    pub async fn open_asks_of_task(&self, task: &TaskId) -> Result<Vec<AskRecord>, StoreError> {
        let query = "SELECT number, session_id, record FROM asks WHERE task = ?1 AND state = 'open' ORDER BY number";
        self.all_asks(query, row::task_number(task)?.into()).await
    }

    /// The decisions that a session remembers.
    pub async fn remembered_decisions(&self, session: SessionKey) -> Result<Vec<Remembered>, StoreError> {
        let key = session.as_bytes().to_vec();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT rule, decision FROM ask_rules WHERE session = ?1")?;
            let mut rows = statement.query([key])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let is_allowed = row::text(row, 1)? == AskDecision::Allow.as_str();
                let decision = if is_allowed { AskDecision::Allow } else { AskDecision::Deny };
                // A rule that another version wrote is asked again.
                found.extend(row::text(row, 0)?.parse().ok().map(|rule| Remembered { rule, decision }));
            }
            Ok(found)
        })
        .await
    }

    async fn all_asks(&self, query: &'static str, of: Value) -> Result<Vec<AskRecord>, StoreError> {
        let damage = self.shared.damage.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query([of])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(damage.skip(|| name(row), decode(row))?.map(|(_, ask)| ask));
            }
            Ok(found)
        })
        .await
    }
}

/// Names an ask whose row may be damaged.
fn name(row: &Row<'_>) -> String {
    format!("an ask of session {}", row.get::<_, String>(1).unwrap_or_default())
}

/// An ask, and its size in memory.
fn decode(row: &Row<'_>) -> Result<(usize, AskRecord), StoreError> {
    let json = row::text(row, 2)?;
    Ok((json.len(), row::json(json)?))
}
