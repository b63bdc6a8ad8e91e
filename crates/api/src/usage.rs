//! Reports usage and cost.

use api_types::usage::{self as wire, UsageDimension, UsageReport};
use api_types::{Nullable, parse_word};
use axum::extract::State;
use axum::{Extension, Json};
use domain::access::{KeyId, Scope};
use domain::session::SessionId;
use domain::usage::{Cost, Day, Dimension, UsageFilter, UsageRow};
use jiff::Timestamp;
use serde::Deserialize;

use super::extract::Query;
use super::session::prefix;
use super::{Api, ApiError};
use crate::access::Caller;

/// The maximum number of rows. A narrower query returns the others.
const MAX_ROWS: usize = 1000;
/// The number of days before today that a query without dates covers.
const DEFAULT_DAYS: i64 = 30;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageQuery {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    session_id: Option<String>,
    key: Option<String>,
    model: Option<String>,
}

/// `GET /usage`. A caller who is no administrator sees what its own key used.
pub(super) async fn usage(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageReport>, ApiError> {
    let by = dimensions(query.by.as_deref().unwrap_or("day"))?;
    let filter = filter(query, &caller, Day::of(Timestamp::now()))?;
    let report = api.store.usage(&filter, &by, MAX_ROWS).await?;
    Ok(Json(UsageReport {
        from: filter.from.to_string(),
        to: filter.to.to_string(),
        by: by.iter().map(|dimension| shown(*dimension)).collect(),
        totals: view(&report.totals),
        rows: report.rows.iter().map(view).collect(),
        truncated: report.truncated,
    }))
}

fn filter(query: UsageQuery, caller: &Caller, today: Day) -> Result<UsageFilter, ApiError> {
    let day = |name: &str, text: Option<String>| {
        text.map(|text| text.parse::<Day>().map_err(|error| ApiError::invalid(format!("{name}: {error}")))).transpose()
    };
    let to = day("to", query.to)?.unwrap_or(today);
    let from = day("from", query.from)?.unwrap_or_else(|| to.minus(DEFAULT_DAYS));
    if from > to {
        return Err(ApiError::invalid("from: it must not be after `to`"));
    }
    let session = query.session_id.map(|id| SessionId::existing(&id)).transpose();
    let session = session.map_err(|error| ApiError::invalid(format!("sessionId: {error}")))?;
    let asked = query.key.map(|key| key.parse::<KeyId>()).transpose();
    let asked = asked.map_err(|error| ApiError::invalid(format!("key: {error}")))?;
    let own = match caller.scope {
        Scope::Admin => None,
        Scope::Read | Scope::Submit => Some(caller.key.clone().ok_or_else(ApiError::key_needed)?),
    };
    Ok(UsageFilter {
        from,
        to,
        // Both conditions apply: a key that sees only its own usage gets nothing for another key.
        keys: own.into_iter().chain(asked).collect(),
        session,
        session_prefix: prefix(caller).map(str::to_owned),
        model: query.model,
    })
}

/// `day,model`, each once.
fn dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let mut by = Vec::new();
    for part in text.split(',').map(str::trim) {
        let named = |dimension: &Dimension| dimension.as_str() == part || parse_word(part) == Some(shown(*dimension));
        let found = Dimension::ALL.into_iter().find(named);
        let found = found.ok_or_else(|| {
            ApiError::invalid("by: it must be one or more of day, key, session and model, with commas between them")
        })?;
        if !by.contains(&found) {
            by.push(found);
        }
    }
    Ok(by)
}

/// The member of a row that has its value.
const fn shown(dimension: Dimension) -> UsageDimension {
    match dimension {
        Dimension::Day => UsageDimension::Day,
        Dimension::Key => UsageDimension::Key,
        Dimension::Session => UsageDimension::SessionId,
        Dimension::Model => UsageDimension::Model,
    }
}

fn view(row: &UsageRow) -> wire::UsageRow {
    let group = |dimension| {
        let value = row.group.get(&dimension)?;
        Some(Nullable(Some(value.clone()).filter(|value| !value.is_empty())))
    };
    wire::UsageRow {
        day: group(Dimension::Day),
        key: group(Dimension::Key),
        session_id: group(Dimension::Session),
        model: group(Dimension::Model),
        requests: row.usage.requests,
        input_tokens: row.usage.input_tokens,
        output_tokens: row.usage.output_tokens,
        cache_creation_input_tokens: row.usage.cache_creation_input_tokens,
        cache_read_input_tokens: row.usage.cache_read_input_tokens,
        cost: row.cost.dollars(),
        estimated_cost: row.estimated.dollars(),
        price_assumed: (row.assumed > Cost::ZERO).then_some(true),
        cli_cost: row.cli_cost.map(Cost::dollars),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(scope: Scope, own: Option<&str>, asked: Option<&str>) -> Option<Vec<String>> {
        let key = own.map(|key| key.parse().unwrap());
        let caller = Caller { key, scope, ..Caller::anyone() };
        let key = asked.map(str::to_owned);
        let query = UsageQuery { by: None, from: None, to: None, session_id: None, key, model: None };
        let filter = filter(query, &caller, "2026-11-21".parse().unwrap()).ok()?;
        assert_eq!(filter.from.to_string(), "2026-10-22");
        Some(filter.keys.iter().map(KeyId::to_string).collect())
    }

    #[test]
    fn only_an_administrator_sees_what_others_used() {
        assert_eq!(keys(Scope::Admin, None, None), Some(vec![]));
        assert_eq!(keys(Scope::Admin, Some("a"), None), Some(vec![]));
        assert_eq!(keys(Scope::Admin, Some("a"), Some("b")), Some(vec!["b".to_owned()]));
        for scope in [Scope::Read, Scope::Submit] {
            assert_eq!(keys(scope, Some("a"), None), Some(vec!["a".to_owned()]));
            // Both must hold, so the result is empty.
            assert_eq!(keys(scope, Some("a"), Some("b")), Some(vec!["a".to_owned(), "b".to_owned()]));
            assert_eq!(keys(scope, None, None), None, "a caller without an identity sees nothing");
        }
    }

    #[test]
    fn a_dimension_is_counted_once() {
        assert_eq!(dimensions("day, session,sessionId,day").unwrap(), [Dimension::Day, Dimension::Session]);
        assert!(dimensions("").is_err() && dimensions("day,").is_err());
    }
}
