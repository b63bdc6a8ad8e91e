//! Queries for webhooks.

use domain::task::TaskId;
use domain::webhook::{Delivery, DeliveryStatus, Due, Target, WebhookId};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::damage::DamageLog;
use crate::page::read_page;
use crate::seal::{Place, Sealer};
use crate::{Cursor, Page, Store, StoreError, row};

const COLUMNS: &str = "number, id, task, session, session_id, target, state, event, created, due, attempts";

/// A filter of deliveries. All fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFilter {
    pub id: Option<WebhookId>,
    pub task: Option<TaskId>,
    pub status: Option<DeliveryStatus>,
    /// Matches sessions whose ids start with this prefix.
    pub session_prefix: Option<String>,
}

/// The deliveries that have to wait, whether due or not.
#[derive(Clone, Debug, Default)]
pub struct BusyWebhooks {
    /// Attempts under way: [`Due::number`].
    pub numbers: Vec<i64>,
    /// Keys that have their share of attempts: [`Due::key`].
    pub keys: Vec<String>,
    /// Keys with hosts to which they have their share: [`Due::key`] and [`Due::host`].
    pub hosts: Vec<(String, String)>,
}

impl BusyWebhooks {
    /// Writes the three lists as JSON, for the queries.
    fn lists(&self) -> Result<[String; 3], StoreError> {
        let hosts: Vec<String> = self.hosts.iter().map(|(key, host)| format!("{key} {host}")).collect();
        Ok([list(&self.numbers)?, list(&self.keys)?, list(&hosts)?])
    }
}

impl Store {
    /// The deliveries of ended tasks, newest first.
    pub async fn webhooks(
        &self,
        filter: &WebhookFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Delivery>, StoreError> {
        let mut conditions = vec!["state <> 'waiting'"];
        let mut parameters: Vec<Value> = Vec::new();
        if let Some(cursor) = cursor {
            conditions.push("number < ?");
            parameters.push(cursor.number().into());
        }
        if let Some(id) = &filter.id {
            conditions.push("id = ?");
            parameters.push(id.as_bytes().to_vec().into());
        }
        if let Some(task) = &filter.task {
            conditions.push("task = ?");
            parameters.push(row::task_number(task)?.into());
        }
        if let Some(status) = filter.status {
            conditions.push("state = ?");
            parameters.push(status.as_str().to_owned().into());
        }
        if let Some(prefix) = &filter.session_prefix {
            conditions.push("substr(session_id, 1, length(?)) = ?");
            parameters.extend([prefix.clone().into(), prefix.clone().into()]);
        }
        parameters.push(row::limit(limit.saturating_add(1)).into());
        let query =
            format!("SELECT {COLUMNS} FROM webhooks WHERE {} ORDER BY number DESC LIMIT ?", conditions.join(" AND "));
        let (sealer, damage) = (self.shared.sealer.clone(), self.shared.damage.clone());
        self.read_list(move |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params_from_iter(parameters))?;
            read_page(&mut rows, limit, |row| {
                let Some(delivery) = damage.skip(|| name(row), delivery(&sealer, &damage, row))? else {
                    return Ok((row.get(0)?, None));
                };
                let attempts = row.get_ref(10)?.as_str().map_or(0, str::len);
                let bytes = size_of_val(&delivery) + delivery.url.len() + attempts;
                Ok((row.get(0)?, Some((bytes, delivery))))
            })
        })
        .await
    }

    /// The deliveries that are due, longest due first, except the busy ones.
    pub async fn due_webhooks(&self, now: Timestamp, busy: BusyWebhooks, limit: usize) -> Result<Vec<Due>, StoreError> {
        let (sealer, damage) = (self.shared.sealer.clone(), self.shared.damage.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, round, tries, id, task, event, host, target, session, session_id, key FROM webhooks
                 WHERE state = 'pending' AND number NOT IN (SELECT value FROM json_each(?1))
                     AND key NOT IN (SELECT value FROM json_each(?2))
                     AND key || ' ' || host NOT IN (SELECT value FROM json_each(?3))
                     AND due <= ?4
                 ORDER BY due, number LIMIT ?5",
            )?;
            let [numbers, keys, hosts] = busy.lists()?;
            let mut rows = statement.query(params![numbers, keys, hosts, row::nanos(now), row::limit(limit)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(damage.skip(|| name_of_due(row), due(&sealer, &damage, row))?);
            }
            Ok(found)
        })
        .await
    }

    /// The time when the next delivery is due, with the same exceptions.
    pub async fn next_webhook(&self, busy: BusyWebhooks) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            let next: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(due) FROM webhooks
                     WHERE state = 'pending' AND typeof(due) = 'integer' AND number NOT IN (SELECT value FROM json_each(?1))
                         AND key NOT IN (SELECT value FROM json_each(?2))
                         AND key || ' ' || host NOT IN (SELECT value FROM json_each(?3))",
                )?
                .query_row(busy.lists()?, |row| row.get(0))?;
            next.map(row::timestamp).transpose()
        })
        .await
    }

    /// The target of this task's delivery. `None` if there is none, or if it is no longer stored.
    pub async fn webhook_target(&self, task: &TaskId) -> Result<Option<Target>, StoreError> {
        let (number, sealer) = (row::task_number(task)?, self.shared.sealer.clone());
        let damage = self.shared.damage.clone();
        let task = task.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT session, session_id, target FROM webhooks WHERE task = ?1")?;
            let mut rows = statement.query([number])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let place = Place::Webhook { session: row::session_key(row.get(0)?), task: task.as_str() };
            let session_id = row::session_id(row.get(1)?);
            Ok(open(&sealer, &damage, place, &row.get::<_, Vec<u8>>(2)?, &session_id))
        })
        .await
    }

    pub async fn pending_webhooks(&self) -> Result<u64, StoreError> {
        self.read(|connection: &Connection| {
            let count = connection
                .prepare_cached("SELECT count(*) FROM webhooks WHERE state = 'pending'")?
                .query_row([], |row| row.get(0))?;
            Ok(row::unsigned(count))
        })
        .await
    }
}

/// Names a delivery whose row may be damaged.
fn name(row: &Row<'_>) -> String {
    let session: String = row.get(4).unwrap_or_default();
    format!("a webhook of session {session}")
}

/// The same for a row of [`Store::due_webhooks`].
fn name_of_due(row: &Row<'_>) -> String {
    format!("a webhook of session {}", row.get::<_, String>(9).unwrap_or_default())
}

fn delivery(sealer: &Sealer, damage: &DamageLog, row: &Row<'_>) -> Result<Delivery, StoreError> {
    let time = |column| row.get::<_, Option<i64>>(column)?.map(row::timestamp).transpose();
    let task = row::task_id(row.get(2)?)?;
    let session_id = row::session_id(row.get(4)?);
    let place = Place::Webhook { session: row::session_key(row.get(3)?), task: task.as_str() };
    let target = open(sealer, damage, place, &row.get::<_, Vec<u8>>(5)?, &session_id);
    let state: String = row.get(6)?;
    let status = [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Failed];
    let status = status.into_iter().find(|status| status.as_str() == state);
    Ok(Delivery {
        id: WebhookId::from_bytes(row.get(1)?),
        url: target.map(|target| target.shown()).unwrap_or_default(),
        status: status.ok_or_else(|| StoreError::corrupt(format!("webhook state {state:?}")))?,
        event: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        created: time(8)?.unwrap_or_default(),
        next_attempt: time(9)?,
        attempts: row::json(&row.get::<_, String>(10)?)?,
        task,
        session_id,
    })
}

/// Decodes every delivery, so that damaged ones are noted.
pub(crate) fn scan(connection: &Connection, sealer: &Sealer, damage: &DamageLog) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM webhooks"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        damage.skip(|| name(row), delivery(sealer, damage, row))?;
    }
    Ok(())
}

/// Decodes a delivery. One that is damaged has no target, so it fails and does not block the others.
fn due(sealer: &Sealer, damage: &DamageLog, row: &Row<'_>) -> Result<Due, StoreError> {
    let task = row::task_id(row.get(4).unwrap_or_default())?;
    let session_id = row::session_id(row.get(9).unwrap_or_default());
    let mut due = Due {
        number: row.get(0)?,
        round: row.get(1).unwrap_or_default(),
        tries: row.get(2).unwrap_or(u32::MAX),
        id: WebhookId::from_bytes(row.get(3).unwrap_or_default()),
        event: row.get::<_, Option<String>>(5).ok().flatten().unwrap_or_default(),
        host: row.get(6).unwrap_or_default(),
        target: None,
        task,
        key: row.get(10).unwrap_or_default(),
    };
    let columns = || -> Result<([u8; 16], Vec<u8>), rusqlite::Error> {
        row.get::<_, i64>(1)?;
        row.get::<_, u32>(2)?;
        row.get::<_, [u8; 16]>(3)?;
        row.get::<_, i64>(4)?;
        row.get::<_, Option<String>>(5)?;
        row.get::<_, String>(6)?;
        Ok((row.get(8)?, row.get(7)?))
    };
    match columns() {
        Ok((session, sealed)) => {
            let place = Place::Webhook { session: row::session_key(session), task: due.task.as_str() };
            due.target = open(sealer, damage, place, &sealed, &session_id);
        }
        Err(error) => damage.note(&format!("a webhook of session {session_id}"), &error.into()),
    }
    Ok(due)
}

/// Opens a target. One that cannot be opened is logged and skipped, so that it does not block other deliveries.
fn open(
    sealer: &Sealer,
    damage: &DamageLog,
    place: Place<'_>,
    sealed: &[u8],
    session: &domain::session::SessionId,
) -> Option<Target> {
    match sealer.unseal(place, sealed, session) {
        Ok(text) => Target::of_text(&text),
        Err(error) => {
            damage.note(&format!("a webhook of session {session}"), &error);
            None
        }
    }
}

/// A JSON list, for `json_each`.
fn list<T: serde::Serialize>(values: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(StoreError::Encode)
}
