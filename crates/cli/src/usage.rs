//! `claude-runner usage`: shows usage and cost as a table.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::usage::{UsageDimension, UsageReport, UsageRow};
use api_types::word;
use clap::Args;
use reqwest::Method;

use super::exit::Exit;
use super::remote::{Answered, RemoteError, RemoteOptions};
use super::table::{Column, Table};
use super::terminal;

const EXAMPLES: &str = "\
Examples:
  claude-runner usage --by session
  claude-runner usage --by day,model --from 2026-11-01 --json";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct UsageOptions {
    /// Split the table by day, key, session, model (comma-separated)
    #[arg(long, default_value = "day")]
    by: String,

    /// First day, like 2026-11-21, in UTC [default: 30 days before the last]
    #[arg(long)]
    from: Option<String>,

    /// Last day [default: today]
    #[arg(long)]
    to: Option<String>,

    /// Only this session
    #[arg(long)]
    session: Option<String>,

    /// Only the API key with this id
    #[arg(long, value_name = "ID")]
    of_key: Option<String>,

    /// Print the server's answer unchanged
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: UsageOptions) -> anyhow::Result<ExitCode> {
    let report = ask(&options).await?;
    let text = if options.json {
        let report: serde_json::Value = serde_json::from_str(report.raw.get())?;
        format!("{report:#}\n")
    } else {
        text(&report.value, terminal::width())
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Done.into())
}

async fn ask(options: &UsageOptions) -> Result<Answered<UsageReport>, RemoteError> {
    let filters = [
        ("by", Some(&options.by)),
        ("from", options.from.as_ref()),
        ("to", options.to.as_ref()),
        ("sessionId", options.session.as_ref()),
        ("key", options.of_key.as_ref()),
    ];
    let filters: Vec<(&str, &str)> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value?.as_str()))).collect();
    let remote = options.remote.connect()?;
    remote.json(remote.request(Method::GET, &["usage"], &filters)?).await
}

/// Names are left-aligned and numbers right-aligned, with the totals below.
fn text(report: &UsageReport, width: Option<usize>) -> String {
    let numbers = ["requests", "input", "output", "cache", "cost", "estimated", "CLI says"];
    // A day has ten characters and must not be cut.
    let column = |by: &UsageDimension| if *by == UsageDimension::Day { Column::Whole } else { Column::Text };
    let names = report.by.iter().map(|by| (word(by), column(by)));
    let head = names.chain(numbers.map(|name| (name.to_owned(), Column::Number)));
    let mut table = Table::new(head).sparing(&["estimated", "CLI says", "cache", "requests", "output", "input"]);
    for row in &report.rows {
        let named = report.by.iter().map(|by| row.group(*by).unwrap_or("–").to_owned());
        table.row(named.chain(figures(row)));
    }
    // The totals belong to no group.
    let first = (0..report.by.len()).map(|column| if column == 0 { "total".to_owned() } else { String::new() });
    table.row(first.chain(figures(&report.totals)));
    let mut text = table.text(width);
    if report.truncated {
        text.push_str("There are more rows: ask for fewer days, or for one session or key.\n");
    }
    text
}

fn figures(row: &UsageRow) -> [String; 7] {
    let money = |dollars: f64| format!("${dollars:.4}");
    [
        row.requests.to_string(),
        row.input_tokens.to_string(),
        row.output_tokens.to_string(),
        (row.cache_creation_input_tokens + row.cache_read_input_tokens).to_string(),
        money(row.cost),
        money(row.estimated_cost),
        row.cli_cost.map_or_else(|| "–".to_owned(), money),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn numbers_stand_below_each_other() {
        let row = |day: &str, cost: f64, cli: Option<f64>| {
            json!({
                "day": day, "sessionId": "s", "requests": 14, "input_tokens": 14000, "output_tokens": 700,
                "cache_creation_input_tokens": 1, "cache_read_input_tokens": 2, "cost": cost, "estimatedCost": 0.0,
                "cliCost": cli,
            })
        };
        let report = json!({
            "from": "2026-11-20", "to": "2026-11-21", "by": ["day", "sessionId"], "truncated": true, "totals": row("", 0.105, None),
            "rows": [row("2026-11-21", 0.0525, Some(0.0525)), row("2026-11-20", 10.0525, Some(0.0))],
        });
        assert_eq!(
            text(&serde_json::from_value(report).unwrap(), None),
            "\
day         sessionId  requests  input  output  cache      cost  estimated  CLI says
2026-11-21  s                14  14000     700      3   $0.0525    $0.0000   $0.0525
2026-11-20  s                14  14000     700      3  $10.0525    $0.0000   $0.0000
total                        14  14000     700      3   $0.1050    $0.0000         –
There are more rows: ask for fewer days, or for one session or key.
"
        );
    }
}
