//! The API keys in the store. They have their own connection, because `claude-runner key` writes them while a server
//! runs.

use std::path::Path;

use domain::access::{ApiKey, Digest, KeyId, Scope};
use jiff::Timestamp;
use rusqlite::{Connection, Row, named_params};

use super::{StoreError, data_dir, schema};

/// The API keys of a data directory.
pub struct KeyStore {
    connection: Connection,
}

impl KeyStore {
    /// Opens the keys of a data directory beside a server that may run on it. It creates a missing database. Inside a
    /// server, use [`Store::keys`](crate::Store::keys).
    pub fn open(data_dir: &Path) -> Result<KeyStore, StoreError> {
        Self::of_database(&data_dir::make(data_dir)?)
    }

    pub(super) fn of_database(database: &Path) -> Result<KeyStore, StoreError> {
        Ok(KeyStore { connection: schema::open_writer(database)? })
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

    /// All keys, including revoked ones, oldest first.
    pub fn all(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, name, digest, scope, sessions, limits, created, expires, revoked FROM api_keys ORDER BY created, id",
        )?;
        let rows = statement.query_and_then([], key)?;
        rows.collect()
    }

    /// A number that changes whenever another connection has written.
    pub fn version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
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
