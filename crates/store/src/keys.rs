//! The API keys in the store. They have their own connection, because `claude-runner key` writes them while a server
//! runs.

use std::path::Path;

use domain::access::{ApiKey, Digest, KeyId, Scope};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::damage::DamageLog;
use super::{StoreError, data_dir, schema};

/// The API keys of a data directory.
pub struct KeyStore {
    connection: Connection,
    damage: DamageLog,
}

/// The keys in the store.
#[derive(Clone, Debug, Default)]
pub struct StoredKeys {
    /// All keys, including revoked ones, oldest first.
    pub keys: Vec<ApiKey>,
    /// Keys whose rows are damaged, each in a sentence. They are not valid.
    pub damaged: Vec<String>,
}

impl StoredKeys {
    /// True if the store never had a key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.damaged.is_empty()
    }
}

impl KeyStore {
    /// Opens the keys of a data directory beside a server that may run on it. It creates a missing database. Inside a
    /// server, use [`Store::keys`](crate::Store::keys).
    pub fn open(data_dir: &Path) -> Result<KeyStore, StoreError> {
        Self::of_database(&data_dir::make(data_dir)?, DamageLog::default())
    }

    pub(super) fn of_database(database: &Path, damage: DamageLog) -> Result<KeyStore, StoreError> {
        Ok(KeyStore { connection: schema::open_writer(database)?, damage })
    }

    pub fn insert(&self, key: &ApiKey) -> Result<(), StoreError> {
        let limits = serde_json::to_string(&key.limits).map_err(StoreError::Encode)?;
        self.connection.execute(
            "INSERT INTO api_keys (id, name, digest, scope, sessions, limits, created, expires)
             VALUES (:id, :name, :digest, :scope, :sessions, :limits, :created, :expires)",
            named_params! {
                ":id": key.id.as_str(),
                ":name": key.name,
                ":digest": key.digest.as_bytes(),
                ":scope": key.scope.as_str(),
                ":sessions": key.sessions,
                ":limits": limits,
                ":created": nanoseconds(key.created),
                ":expires": key.expires.map(nanoseconds),
            },
        )?;
        Ok(())
    }

    /// Revokes a key. Returns false if it does not exist or was revoked before.
    pub fn revoke(&self, id: &KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let changed = self.connection.execute(
            "UPDATE api_keys SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL",
            (id.as_str(), nanoseconds(now)),
        )?;
        Ok(changed > 0)
    }

    /// Reads all keys. A damaged one is named in [`Store::damage`](crate::Store::damage) too.
    pub fn all(&self) -> Result<StoredKeys, StoreError> {
        read(&self.connection, &self.damage)
    }

    /// A number that changes whenever another connection has written.
    pub fn version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}

pub(super) fn read(connection: &Connection, damage: &DamageLog) -> Result<StoredKeys, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, digest, scope, sessions, limits, created, expires, revoked FROM api_keys ORDER BY created, id",
    )?;
    let mut rows = statement.query([])?;
    let mut stored = StoredKeys::default();
    while let Some(row) = rows.next()? {
        let id = row.get::<_, String>(0).unwrap_or_else(|_| "without an id".to_owned());
        let decoded = key(row);
        if let Err(cause) = &decoded {
            stored.damaged.push(format!("API key {id}: {cause}"));
        }
        stored.keys.extend(damage.skip(|| format!("API key {id}"), decoded)?);
    }
    Ok(stored)
}

fn key(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt { what: format!("an API key's {what}") };
    let (id, scope, limits): (String, String, String) = (row.get(0)?, row.get(3)?, row.get(5)?);
    let scope = [Scope::Read, Scope::Submit, Scope::Admin].into_iter().find(|known| known.as_str() == scope);
    let time = |nanos: Option<i64>| nanos.map(|nanos| Timestamp::from_nanosecond(nanos.into())).transpose();
    Ok(ApiKey {
        id: id.parse().map_err(|_| damaged("id"))?,
        name: row.get(1)?,
        digest: Digest::from_bytes(row.get(2)?),
        scope: scope.ok_or_else(|| damaged("scope"))?,
        sessions: row.get(4)?,
        limits: serde_json::from_str(&limits).map_err(|_| damaged("limits"))?,
        created: time(row.get(6)?).ok().flatten().ok_or_else(|| damaged("time"))?,
        expires: time(row.get(7)?).map_err(|_| damaged("time"))?,
        revoked: time(row.get(8)?).map_err(|_| damaged("time"))?,
    })
}

/// Nanoseconds since 1970. Times of this century fit.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}
