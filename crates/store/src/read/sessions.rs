//! Queries for sessions. They open the sealed secrets.

use std::collections::BTreeMap;

use domain::agent::AgentName;
use domain::session::{Epoch, SandboxRecord, SessionId, SessionKey, SessionRecord};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::damage::DamageLog;
use crate::page::read_page;
use crate::seal::{Place, Sealer};
use crate::{Cursor, Page, Store, StoreError, row};

const COLUMNS: &str = "number, key, id, created, last_active, turns, claude_session_id, last_seq, sandbox_name,
     sandbox_container_id, sandbox_link_secret, sandbox_last_frame, sandbox_progress, repository, agent, epoch";

/// A session in a list. It has no secrets, so a list opens none.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSummary {
    pub id: SessionId,
    pub epoch: Epoch,
    pub agent: AgentName,
    pub created: Timestamp,
    pub last_active: Timestamp,
    pub turns: u64,
    pub claude_session_id: Option<String>,
    pub last_seq: u64,
}

impl From<&SessionRecord> for SessionSummary {
    fn from(record: &SessionRecord) -> Self {
        SessionSummary {
            id: record.id.clone(),
            epoch: record.epoch,
            agent: record.agent.clone(),
            created: record.created,
            last_active: record.last_active,
            turns: record.turns,
            claude_session_id: record.claude_session_id.clone(),
            last_seq: record.last_seq,
        }
    }
}

impl Store {
    pub async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let (id, sealer) = (id.clone(), self.shared.sealer.clone());
        let query = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1");
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query([id.as_str()])?;
            rows.next()?.map(|row| decode(connection, &sealer, row).map(|(_, record)| record)).transpose()
        })
        .await
    }

    /// All sessions in the order of their creation. `prefix` selects those whose ids start with it.
    pub async fn sessions(
        &self,
        prefix: Option<&str>,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SessionSummary>, StoreError> {
        let prefix = prefix.unwrap_or_default().to_owned();
        let after = cursor.map_or(0, Cursor::number);
        let damage = self.shared.damage.clone();
        self.read_list(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, id, agent, created, last_active, turns, claude_session_id, last_seq, epoch FROM sessions
                 WHERE number > ?1 AND substr(id, 1, length(?3)) = ?3 ORDER BY number LIMIT ?2",
            )?;
            let mut rows = statement.query(params![after, row::limit(limit.saturating_add(1)), prefix])?;
            read_page(&mut rows, limit, |row| {
                let summary = damage.skip(|| name(row, 1), summary(row))?;
                let bytes = |summary: &SessionSummary| size_of_val(summary) + summary.id.as_str().len();
                Ok((row.get(0)?, summary.map(|summary| (bytes(&summary), summary))))
            })
        })
        .await
    }

    /// The sessions that a starting coordinator must handle: those with a sandbox or an unfinished task, oldest first.
    /// A session whose record is damaged is left out.
    pub async fn live_sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        let (sealer, damage) = (self.shared.sealer.clone(), self.shared.damage.clone());
        let query = format!(
            "SELECT {COLUMNS} FROM sessions WHERE number IN (
                 SELECT number FROM sessions WHERE sandbox_name IS NOT NULL
                 UNION
                 SELECT sessions.number FROM tasks JOIN sessions ON sessions.key = tasks.session
                 WHERE tasks.status IN ('queued', 'running'))
             ORDER BY number"
        );
        self.read(move |connection| {
            let rows = select(connection, &sealer, &damage, &query, [])?;
            Ok(rows.into_iter().filter_map(|(_, record)| record).collect())
        })
        .await
    }

    /// The names of all sandboxes with the sessions that own them.
    pub async fn sandbox_owners(&self) -> Result<Vec<(String, SessionId)>, StoreError> {
        let damage = self.shared.damage.clone();
        self.read(move |connection| {
            let query = "SELECT sandbox_name, id FROM sessions WHERE sandbox_name IS NOT NULL";
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query([])?;
            let mut owners = Vec::new();
            while let Some(row) = rows.next()? {
                let owner = || Ok((row.get(0)?, row::session_id(row.get(1)?)));
                owners.extend(damage.skip(|| name(row, 1), owner())?);
            }
            Ok(owners)
        })
        .await
    }

    /// The key of a session whose record may be damaged.
    pub async fn session_key(&self, id: &SessionId) -> Result<Option<SessionKey>, StoreError> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT key FROM sessions WHERE id = ?1")?;
            let mut rows = statement.query([id.as_str()])?;
            rows.next()?.map(|row| Ok(row::session_key(row.get(0)?))).transpose()
        })
        .await
    }

    /// The epoch of a session. `None`: the session was deleted.
    pub async fn session_epoch(&self, session: SessionKey) -> Result<Option<Epoch>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT epoch FROM sessions WHERE key = ?1")?;
            let mut rows = statement.query([session.as_bytes()])?;
            rows.next()?.map(|row| Ok(row::epoch(row.get(0)?))).transpose()
        })
        .await
    }

    pub async fn session_count(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let count = connection.prepare_cached("SELECT count(*) FROM sessions")?.query_row([], |row| row.get(0))?;
            Ok(row::unsigned(count))
        })
        .await
    }
}

/// Decodes every session, so that damaged ones are noted.
pub(crate) fn scan(connection: &Connection, sealer: &Sealer, damage: &DamageLog) -> Result<(), StoreError> {
    select(connection, sealer, damage, &format!("SELECT {COLUMNS} FROM sessions"), []).map(drop)
}

fn summary(row: &Row<'_>) -> Result<SessionSummary, StoreError> {
    Ok(SessionSummary {
        id: row::session_id(row.get(1)?),
        agent: row::agent_name(&row.get::<_, String>(2)?)?,
        created: row::timestamp(row.get(3)?)?,
        last_active: row::timestamp(row.get(4)?)?,
        turns: row::unsigned(row.get(5)?),
        claude_session_id: row.get(6)?,
        last_seq: row::unsigned(row.get(7)?),
        epoch: row::epoch(row.get(8)?),
    })
}

fn select(
    connection: &Connection,
    sealer: &Sealer,
    damage: &DamageLog,
    query: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<(i64, Option<SessionRecord>)>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = damage.skip(|| name(row, 2), decode(connection, sealer, row))?.map(|(_, record)| record);
        records.push((row.get(0)?, record));
    }
    Ok(records)
}

/// Names a session whose row may be damaged.
fn name(row: &Row<'_>, id_column: usize) -> String {
    format!("session {}", row.get::<_, String>(id_column).unwrap_or_else(|_| "without an id".to_owned()))
}

fn decode(connection: &Connection, sealer: &Sealer, row: &Row<'_>) -> Result<(i64, SessionRecord), StoreError> {
    let number: i64 = row.get(0)?;
    let key = row::session_key(row.get(1)?);
    let id = row::session_id(row.get(2)?);
    let record = SessionRecord {
        key,
        created: row::timestamp(row.get(3)?)?,
        last_active: row::timestamp(row.get(4)?)?,
        turns: row::unsigned(row.get(5)?),
        claude_session_id: row.get(6)?,
        env: env(connection, sealer, number, (key, &id))?,
        last_seq: row::unsigned(row.get(7)?),
        sandbox: sandbox(sealer, (key, &id), row)?,
        repository: row.get::<_, Option<String>>(13)?.as_deref().map(row::json).transpose()?,
        agent: row::agent_name(&row.get::<_, String>(14)?)?,
        epoch: row::epoch(row.get(15)?),
        id,
    };
    Ok((number, record))
}

fn sandbox(
    sealer: &Sealer,
    (session, id): (SessionKey, &SessionId),
    row: &Row<'_>,
) -> Result<Option<SandboxRecord>, StoreError> {
    let Some(name) = row.get::<_, Option<String>>(8)? else { return Ok(None) };
    let ciphertext: Vec<u8> = row.get(10)?;
    let link_secret = sealer.unseal(Place::LinkSecret { session, sandbox: &name }, &ciphertext, id)?;
    Ok(Some(SandboxRecord {
        name,
        container_id: row.get(9)?,
        link_secret,
        last_frame: row::unsigned(row.get(11)?),
        progress: row.get(12)?,
    }))
}

fn env(
    connection: &Connection,
    sealer: &Sealer,
    number: i64,
    (session, id): (SessionKey, &SessionId),
) -> Result<BTreeMap<String, secrecy::SecretString>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM session_env WHERE session = ?1")?;
    let mut rows = statement.query([number])?;
    let mut env = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, ciphertext): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let value = sealer.unseal(Place::Env { session, name: &name }, &ciphertext, id)?;
        env.insert(name, value);
    }
    Ok(env)
}
