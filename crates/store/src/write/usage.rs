//! Writes usage and spending.

use domain::access::KeyId;
use domain::session::SessionId;
use domain::usage::{Account, Charge, CliCharge, Cost, Day, OpenRequest, Usage};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::damage::DamageLog;
use crate::{StoreError, row};

const COLUMNS: &str = "id, day, key, session, task, model, estimate";

pub(super) fn open(connection: &Connection, request: &OpenRequest) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO open_requests (id, day, key, session, task, model, estimate)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            row::integer(request.id),
            request.day.to_string(),
            name(request.key.as_ref().map(KeyId::as_str)),
            name(request.session.as_ref().map(SessionId::as_str)),
            name(request.task.as_ref().map(domain::task::TaskId::as_str)),
            request.model,
            row::cost(request.estimate),
        ])?;
    Ok(())
}

pub(super) fn settle(connection: &Connection, damage: &DamageLog, id: u64, charge: &Charge) -> Result<(), StoreError> {
    let request = connection
        .prepare_cached(&format!("DELETE FROM open_requests WHERE id = ?1 RETURNING {COLUMNS}"))?
        .query_row([row::integer(id)], |row| Ok(decode(row)))
        .optional()?;
    let request = request.map(|request| damage.skip(|| request_name(id), request)).transpose()?.flatten();
    match request {
        // A request that was never sent costs nothing.
        Some(request) if charge.usage.requests > 0 || charge.cost > Cost::ZERO => {
            write(connection, &request, charge, Cost::ZERO)
        }
        Some(_) | None => Ok(()),
    }
}

/// A damaged row is removed without a charge, because nobody knows whose it is.
pub(super) fn charge_open(connection: &Connection, damage: &DamageLog) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(&format!("DELETE FROM open_requests RETURNING {COLUMNS}"))?;
    let mut rows = statement.query([])?;
    let mut requests = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0).map(row::unsigned)?;
        requests.extend(damage.skip(|| request_name(id), decode(row))?);
    }
    for request in requests {
        let charge = Charge {
            model: request.model.clone(),
            usage: Usage { requests: 1, ..Usage::default() },
            cost: request.estimate,
            estimated: request.estimate,
            assumed: Cost::ZERO,
        };
        write(connection, &request, &charge, request.estimate)?;
    }
    Ok(())
}

pub(super) fn add_cli_charge(connection: &Connection, charge: &CliCharge) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO cli_usage (day, key, session, cost) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET cost = cost + excluded.cost",
        )?
        .execute(params![
            charge.day.to_string(),
            name(charge.key.as_ref().map(KeyId::as_str)),
            charge.session.as_str(),
            row::cost(charge.cost)
        ])?;
    Ok(())
}

fn write(connection: &Connection, request: &OpenRequest, charge: &Charge, assumed: Cost) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO usage (day, key, session, model, requests, input_tokens, output_tokens, cache_write_tokens,
                 cache_read_tokens, cost, estimated, assumed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO UPDATE SET
                 requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens,
                 output_tokens = output_tokens + excluded.output_tokens,
                 cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens,
                 cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
                 cost = cost + excluded.cost, estimated = estimated + excluded.estimated,
                 assumed = assumed + excluded.assumed",
        )?
        .execute(params![
            request.day.to_string(),
            name(request.key.as_ref().map(KeyId::as_str)),
            name(request.session.as_ref().map(SessionId::as_str)),
            charge.model,
            row::integer(charge.usage.requests),
            row::integer(charge.usage.input_tokens),
            row::integer(charge.usage.output_tokens),
            row::integer(charge.usage.cache_creation_input_tokens),
            row::integer(charge.usage.cache_read_input_tokens),
            row::cost(charge.cost),
            row::cost(charge.estimated),
            row::cost(charge.assumed),
        ])?;
    let mut add = connection.prepare_cached(
        "INSERT INTO spending (account, spent, assumed) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET spent = spent + excluded.spent, assumed = assumed + excluded.assumed",
    )?;
    for account in request.accounts() {
        add.execute(params![Account::to_string(&account), row::cost(charge.cost), row::cost(assumed)])?;
    }
    Ok(())
}

/// Decodes every open request, so that damaged ones are noted.
pub(crate) fn scan(connection: &Connection, damage: &DamageLog) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM open_requests"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0).map(row::unsigned)?;
        damage.skip(|| request_name(id), decode(row))?;
    }
    Ok(())
}

fn request_name(id: u64) -> String {
    format!("the reservation {id} of a model request")
}

fn decode(row: &Row<'_>) -> Result<OpenRequest, StoreError> {
    let text = |column| row.get::<_, String>(column);
    let corrupt = |what: &str| StoreError::corrupt(format!("an open request's {what}"));
    let key = Some(text(2)?).filter(|key| !key.is_empty());
    let session = Some(text(3)?).filter(|session| !session.is_empty());
    let task = Some(text(4)?).filter(|task| !task.is_empty());
    Ok(OpenRequest {
        id: row::unsigned(row.get(0)?),
        day: text(1)?.parse::<Day>().map_err(|_| corrupt("day"))?,
        key: key.map(|key| key.parse()).transpose().map_err(|_| corrupt("key"))?,
        session: session.map(row::session_id),
        task: task.map(|task| task.parse()).transpose().map_err(|_| corrupt("task"))?,
        model: text(5)?,
        estimate: row::as_cost(row.get(6)?),
    })
}

fn name(name: Option<&str>) -> &str {
    name.unwrap_or_default()
}
