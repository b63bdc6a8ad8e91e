//! Queries for usage.

use std::fmt::Write as _;

use domain::usage::{Account, Balance, Dimension, Usage, UsageFilter, UsageReport, UsageRow};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::{Store, StoreError, row};

const SUMMED: [&str; 9] = [
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "cost",
    "estimated",
    "assumed",
    "cli",
];

/// The sums of the columns. A damaged value counts as 0, so that it does not hide the others.
fn sums() -> String {
    SUMMED.map(|column| format!("coalesce(sum({column}) FILTER (WHERE typeof({column}) = 'integer'), 0)")).join(", ")
}

impl Store {
    /// The balance of each account, in the order of the accounts.
    pub async fn balances(&self, accounts: Vec<Account>) -> Result<Vec<Balance>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT spent, assumed FROM spending WHERE account = ?1")?;
            accounts
                .iter()
                .map(|account| {
                    let balance = statement.query_row([account.to_string()], |row| {
                        Ok(Balance { spent: row::as_cost(row.get(0)?), assumed: row::as_cost(row.get(1)?) })
                    });
                    Ok(balance.optional()?.unwrap_or_default())
                })
                .collect()
        })
        .await
    }

    /// The usage, grouped by `by`, in at most `limit` rows. The CLI's figures are omitted if models matter, because
    /// they have no model.
    pub async fn usage(&self, filter: &UsageFilter, by: &[Dimension], limit: usize) -> Result<UsageReport, StoreError> {
        let with_cli = filter.model.is_none() && !by.contains(&Dimension::Model);
        let (source, parameters) = source(filter, with_cli);
        let by = by.to_vec();
        let damage = self.shared.damage.clone();
        self.read_list(move |connection: &Connection| {
            let sums = sums();
            let totals = format!("SELECT {sums} FROM ({source})");
            let totals = connection
                .prepare_cached(&totals)?
                .query_row(params_from_iter(&parameters), |row| decode(row, &[], with_cli))?;
            let columns: Vec<&str> = by.iter().map(|dimension| dimension.as_str()).collect();
            let order: Vec<String> = columns
                .iter()
                .map(|column| if *column == "day" { "day DESC".to_owned() } else { (*column).to_owned() })
                .collect();
            let columns = columns.join(", ");
            let query = format!(
                "SELECT {sums}, {columns} FROM ({source}) GROUP BY {columns} ORDER BY {} LIMIT {}",
                order.join(", "),
                row::limit(limit.saturating_add(1))
            );
            let mut statement = connection.prepare_cached(&query)?;
            let mut found = statement.query(params_from_iter(&parameters))?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                let decoded = decode(row, &by, with_cli).map_err(StoreError::from);
                rows.extend(damage.skip(|| "a row of the usage".to_owned(), decoded)?);
            }
            let truncated = rows.len() > limit;
            rows.truncate(limit);
            Ok(UsageReport { totals, rows, truncated })
        })
        .await
    }
}

/// The gateway's figures and the CLI's as rows of one shape. Every parameter is numbered, so that both halves share
/// them.
fn source(filter: &UsageFilter, with_cli: bool) -> (String, Vec<Value>) {
    let mut parameters: Vec<Value> = vec![filter.from.to_string().into(), filter.to.to_string().into()];
    let mut condition = "day BETWEEN ?1 AND ?2".to_owned();
    let mut also = |column: &str, value: &str| {
        parameters.push(value.to_owned().into());
        // Writing to a string does not fail.
        let _ = write!(condition, " AND {column} ?{}", parameters.len());
    };
    for key in &filter.keys {
        also("key =", key.as_str());
    }
    if let Some(session) = &filter.session {
        also("session =", session.as_str());
    }
    if let Some(prefix) = &filter.session_prefix {
        also("instr(session,", prefix);
        condition.push_str(") = 1");
    }
    let mut ours = format!(
        "SELECT day, key, session, model, requests, input_tokens, output_tokens, cache_write_tokens, cache_read_tokens,
             cost, estimated, assumed, 0 AS cli FROM usage WHERE {condition}"
    );
    if let Some(model) = &filter.model {
        parameters.push(model.clone().into());
        let _ = write!(ours, " AND model = ?{}", parameters.len());
    }
    if with_cli {
        let _ = write!(
            ours,
            " UNION ALL SELECT day, key, session, '', 0, 0, 0, 0, 0, 0, 0, 0, cost FROM cli_usage WHERE {condition}"
        );
    }
    (ours, parameters)
}

fn decode(row: &Row<'_>, by: &[Dimension], with_cli: bool) -> rusqlite::Result<UsageRow> {
    let count = |column| row.get(column).map(row::unsigned);
    let money = |column| row.get(column).map(row::as_cost);
    let group = by.iter().enumerate().map(|(n, dimension)| Ok((*dimension, row.get(9 + n)?)));
    Ok(UsageRow {
        usage: Usage {
            requests: count(0)?,
            input_tokens: count(1)?,
            output_tokens: count(2)?,
            cache_creation_input_tokens: count(3)?,
            cache_read_input_tokens: count(4)?,
        },
        cost: money(5)?,
        estimated: money(6)?,
        assumed: money(7)?,
        cli_cost: if with_cli { Some(money(8)?) } else { None },
        group: group.collect::<rusqlite::Result<_>>()?,
    })
}
