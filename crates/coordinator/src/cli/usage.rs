//! `claude-runner usage`: what was used and what it cost, as a table.
#![expect(clippy::print_stdout, reason = "this is what shows things")]

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

#[derive(Args, Debug)]
pub(super) struct UsageOptions {
    /// What the table is split by: day, key, session, model, with commas between them
    #[arg(long, default_value = "day")]
    by: String,

    /// First day, like 2026-11-21, in UTC [default: 30 days before the last]
    #[arg(long)]
    from: Option<String>,

    /// Last day [default: today]
    #[arg(long)]
    to: Option<String>,

    /// Of this session only
    #[arg(long)]
    session: Option<String>,

    /// Of this API key only, by its id
    #[arg(long, value_name = "ID")]
    of_key: Option<String>,

    /// Print the server's answer as it is
    #[arg(long)]
    json: bool,

    /// The server
    #[arg(long, env = "CLAUDE_RUNNER_URL", default_value = "http://127.0.0.1:3456")]
    url: String,

    /// An API key of the server
    #[arg(long, env = "CLAUDE_RUNNER_KEY", hide_env_values = true)]
    key: Option<SecretString>,
}

pub(super) async fn run(options: UsageOptions) -> anyhow::Result<ExitCode> {
    let report = ask(&options).await?;
    if options.json {
        println!("{report:#}");
    } else {
        print!("{}", table(&report));
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(options: &UsageOptions) -> anyhow::Result<Value> {
    let mut url: reqwest::Url = options.url.parse().with_context(|| format!("{}: not an http URL", options.url))?;
    url.set_path("/usage");
    url.query_pairs_mut().append_pair("by", &options.by);
    let filters =
        [("from", &options.from), ("to", &options.to), ("sessionId", &options.session), ("key", &options.of_key)];
    for (name, value) in filters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let mut request = reqwest::Client::new().get(url);
    if let Some(key) = &options.key {
        request = request.bearer_auth(key.expose_secret());
    }
    let response = request.send().await.with_context(|| format!("could not reach {}", options.url))?;
    let answered = response.status().is_success();
    let report: Value = response.json().await.context("the server did not answer in JSON")?;
    if !answered {
        bail!("{}", report["error"].as_str().unwrap_or("the server refused the question"));
    }
    Ok(report)
}

/// Names to the left, numbers to the right, the totals below.
fn table(report: &Value) -> String {
    let by: Vec<&str> = report["by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let numbers = ["requests", "input", "output", "cache", "cost", "estimated", "CLI says"];
    let mut lines = vec![by.iter().copied().chain(numbers).map(str::to_owned).collect::<Vec<_>>()];
    let totals = std::iter::once(&report["totals"]);
    for row in report["rows"].as_array().into_iter().flatten().chain(totals) {
        let count = |name: &str| row[name].as_u64().unwrap_or_default();
        let money = |name: &str| row[name].as_f64().map_or_else(|| "–".to_owned(), |dollars| format!("${dollars:.4}"));
        let named = by.iter().map(|name| row[*name].as_str().unwrap_or("–").to_owned());
        let cache = count("cache_creation_input_tokens") + count("cache_read_input_tokens");
        let counts = [count("requests"), count("input_tokens"), count("output_tokens"), cache];
        let money = ["cost", "estimatedCost", "cliCost"].map(money);
        lines.push(named.chain(counts.map(|count| count.to_string())).chain(money).collect());
    }
    // The totals are about no group.
    if let (Some(totals), true) = (lines.last_mut(), !by.is_empty()) {
        for (n, cell) in totals.iter_mut().take(by.len()).enumerate() {
            *cell = if n == 0 { "total".to_owned() } else { String::new() };
        }
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            // Writing to a string does not fail.
            let _ = if column < by.len() { write!(text, "{cell:width$}  ") } else { write!(text, "{cell:>width$}  ") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if report["truncated"] == true {
        text.push_str("There are more rows: ask for fewer days, or for one session or key.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table;

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
            "by": ["day", "sessionId"], "truncated": true, "totals": row("", 0.105, None),
            "rows": [row("2026-11-21", 0.0525, Some(0.0525)), row("2026-11-20", 10.0525, Some(0.0))],
        });
        assert_eq!(
            table(&report),
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
