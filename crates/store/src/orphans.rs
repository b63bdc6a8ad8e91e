//! The record of volumes that no session has. A volume is not removed because this store does not know its session: the
//! store may be a copy, a backup or a new one. The record counts how long the volume has been without a session here.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::session::SessionKey;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params};

use super::damage::DamageLog;
use super::{Change, Store, StoreError, row};

/// A volume in the engine, and the session for which it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownVolume {
    pub name: String,
    pub session: SessionKey,
}

/// A volume that no session of this store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrphanVolume {
    pub name: String,
    /// The time at which this store first saw it without a session.
    pub since: Timestamp,
    /// Its session was deleted in this store.
    pub deleted: bool,
}

impl OrphanVolume {
    /// Returns true if it may be removed: its session was deleted, or it has had none for `grace`.
    pub fn is_expired(&self, grace: Duration, now: Timestamp) -> bool {
        let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX);
        self.deleted || now.duration_since(self.since) >= grace
    }
}

impl Store {
    /// Records which of the engine's volumes no session has, and returns them. A volume that was recorded before keeps its
    /// time. A volume that has a session or no longer exists is forgotten.
    pub async fn record_orphan_volumes(
        &self,
        volumes: Vec<KnownVolume>,
        now: Timestamp,
    ) -> Result<Vec<OrphanVolume>, StoreError> {
        // A round without changes does not write.
        let damage = self.shared.damage.clone();
        let (is_new, volumes) =
            self.read(move |connection| Ok((is_new(connection, &volumes, &damage)?, volumes))).await?;
        if is_new {
            self.commit(vec![Change::RecordOrphanVolumes { volumes, now }]).await?;
        }
        let damage = self.shared.damage.clone();
        self.read(move |connection| orphans(connection, &damage)).await
    }
}

fn is_new(connection: &Connection, volumes: &[KnownVolume], damage: &DamageLog) -> Result<bool, StoreError> {
    let mut recorded: BTreeSet<String> = orphans(connection, damage)?.into_iter().map(|orphan| orphan.name).collect();
    for volume in volumes {
        if recorded.remove(&volume.name) == has_session(connection, volume.session)? {
            return Ok(true);
        }
    }
    let deleted = connection.prepare_cached("SELECT 1 FROM deleted_storage")?.exists([])?;
    Ok(deleted || !recorded.is_empty())
}

pub(super) fn record(
    connection: &Connection,
    volumes: &[KnownVolume],
    now: Timestamp,
    damage: &DamageLog,
) -> Result<(), StoreError> {
    // The grace of a volume whose row is damaged starts again.
    let whole: Vec<String> = orphans(connection, damage)?.into_iter().map(|orphan| orphan.name).collect();
    connection
        .prepare_cached("DELETE FROM orphan_volumes WHERE name NOT IN (SELECT value FROM json_each(?1))")?
        .execute([row::encode(&whole)?])?;
    let mut orphans = Vec::new();
    let mut insert = connection.prepare_cached(
        "INSERT INTO orphan_volumes (name, seen, deleted)
         VALUES (?1, ?2, EXISTS (SELECT 1 FROM deleted_storage WHERE session = ?3)) ON CONFLICT DO NOTHING",
    )?;
    for volume in volumes {
        if !has_session(connection, volume.session)? {
            insert.execute(params![volume.name, row::nanos(now), volume.session.as_bytes()])?;
            orphans.push(volume.name.as_str());
        }
    }
    connection
        .prepare_cached("DELETE FROM orphan_volumes WHERE name NOT IN (SELECT value FROM json_each(?1))")?
        .execute([row::encode(&orphans)?])?;
    // This list was made after the session was deleted, so it contains the session's volumes if they exist.
    connection.prepare_cached("DELETE FROM deleted_storage")?.execute([])?;
    Ok(())
}

/// Records that the volumes of a session have no grace period, because a caller deleted the session.
pub(super) fn deleted(connection: &Connection, session: SessionKey) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO deleted_storage (session) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([session.as_bytes()])?;
    Ok(())
}

pub(super) fn orphans(connection: &Connection, damage: &DamageLog) -> Result<Vec<OrphanVolume>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT name, seen, deleted FROM orphan_volumes ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut orphans = Vec::new();
    while let Some(row) = rows.next()? {
        let name = || format!("the record of volume {}", row.get::<_, String>(0).unwrap_or_default());
        orphans.extend(damage.skip(name, orphan(row))?);
    }
    Ok(orphans)
}

fn orphan(row: &Row<'_>) -> Result<OrphanVolume, StoreError> {
    Ok(OrphanVolume { name: row.get(0)?, since: row::timestamp(row.get(1)?)?, deleted: row.get(2)? })
}

pub(super) fn has_session(connection: &Connection, session: SessionKey) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM sessions WHERE key = ?1")?.exists([session.as_bytes()])?)
}
