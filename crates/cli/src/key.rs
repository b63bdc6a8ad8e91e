//! `claude-runner key`: creates, lists and revokes API keys in the store of a data directory. A running server notices a change
//! within a second.
#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use domain::access::{ApiKey, KeyId, KeyLimits, KeySecret, Scope};
use domain::model::{InvalidModelName, check_model_name};
use domain::session::SessionId;
use domain::usage::Cost;
use jiff::{SignedDuration, Timestamp, Zoned};
use secrecy::ExposeSecret as _;
use store::{KeyStore, StoredKeys};

use super::lists;
use super::table::{Column, Table};
use super::terminal::printable;

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-runner key create --scope admin --name laptop
  claude-runner key create --scope submit --sessions acme- --expires 30d --max-day-usd 5
  claude-runner key revoke 5d1f0c2a9b";

#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Make a key; it is printed once and cannot be shown again
    Create(Box<CreateOptions>),
    /// List the keys, including revoked and expired ones
    List(ListOptions),
    /// Revoke a key; its open connections are closed
    Revoke(RevokeOptions),
}

#[derive(Args, Debug)]
struct Place {
    /// The data directory of the server
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,
}

#[derive(Args, Debug)]
pub struct CreateOptions {
    #[command(flatten)]
    place: Place,

    /// The key's rights; each scope includes those before it
    #[arg(long, value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|scope| scope.parse::<Scope>()))]
    scope: Scope,

    /// Only sessions whose ids begin with this
    #[arg(long, value_name = "PREFIX", value_parser = parse_prefix)]
    sessions: Option<String>,

    /// The key's expiry: a time from now (30d, 12h, 90m), or a date (2027-01-31, in UTC)
    #[arg(long, value_name = "WHEN", value_parser = parse_expiry)]
    expires: Option<Timestamp>,

    /// A name for lists
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// A model that its tasks may use; may be repeated [default: any]
    #[arg(long = "model", value_name = "MODEL", value_parser = parse_model)]
    models: Vec<String>,

    /// The most output tokens that one model request may ask for
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    max_output_tokens: Option<u32>,

    /// Cost limit of one task, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = parse_cost)]
    max_task_usd: Option<Cost>,

    /// Cost limit of one session's tasks, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = parse_cost)]
    max_session_usd: Option<Cost>,

    /// Cost limit of the key's tasks per day (UTC), in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = parse_cost)]
    max_day_usd: Option<Cost>,

    /// Cost limit of all tasks of the key, in US dollars
    #[arg(long, value_name = "DOLLARS", value_parser = parse_cost)]
    max_total_usd: Option<Cost>,
}

#[derive(Args, Debug)]
pub struct ListOptions {
    #[command(flatten)]
    place: Place,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub struct RevokeOptions {
    #[command(flatten)]
    place: Place,

    /// The key's id: the part between `crk_` and the second `_`
    id: KeyId,
}

pub(super) fn run(command: KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Create(options) => create(*options),
        KeyCommand::List(options) => list(&options),
        KeyCommand::Revoke(options) => revoke(&options),
    }
}

fn create(options: CreateOptions) -> anyhow::Result<ExitCode> {
    let secret = KeySecret::generate();
    let key = ApiKey {
        id: secret.id.clone(),
        name: options.name,
        digest: secret.digest(),
        scope: options.scope,
        sessions: options.sessions,
        limits: KeyLimits {
            models: (!options.models.is_empty()).then_some(options.models),
            max_output_tokens: options.max_output_tokens,
            max_task_cost: options.max_task_usd,
            max_session_cost: options.max_session_usd,
            max_day_cost: options.max_day_usd,
            max_total_cost: options.max_total_usd,
        },
        created: Timestamp::now(),
        expires: options.expires,
        revoked: None,
    };
    open(&options.place)?.insert(&key).context("the key could not be stored")?;
    eprintln!("key {} may {}; this is shown once:", key.id, rights(&key));
    writeln!(io::stdout(), "{}", secret.text().expose_secret())?;
    Ok(ExitCode::SUCCESS)
}

fn list(options: &ListOptions) -> anyhow::Result<ExitCode> {
    let StoredKeys { keys, damaged } = open(&options.place)?.all().context("the keys could not be read")?;
    for row in &damaged {
        eprintln!("damaged and not valid: {}", printable(row));
    }
    if options.json {
        lists::print_lines(&keys.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if keys.is_empty() && damaged.is_empty() {
        eprintln!("there are no keys; `claude-runner key create --scope admin` creates one");
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let mut table = Table::new([
        ("ID", Column::Whole),
        ("STATE", Column::Whole),
        ("SCOPE", Column::Whole),
        ("SESSIONS", Column::Text),
        ("EXPIRES", Column::Whole),
        ("NAME", Column::Text),
    ]);
    for key in keys {
        table.row([
            key.id.as_str().to_owned(),
            key.state(now).to_owned(),
            key.scope.as_str().to_owned(),
            key.sessions.as_deref().map_or("all".to_owned(), |prefix| format!("{prefix}…")),
            key.expires.map_or("-".to_owned(), |time| format!("{time:.0}")),
            key.name.unwrap_or_default(),
        ]);
    }
    lists::print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn revoke(options: &RevokeOptions) -> anyhow::Result<ExitCode> {
    if !open(&options.place)?.revoke(&options.id, Timestamp::now()).context("the key could not be revoked")? {
        bail!("there is no key {} to revoke; `claude-runner key list` shows them", options.id);
    }
    eprintln!("key {} is revoked; a running server refuses it within a second", options.id);
    Ok(ExitCode::SUCCESS)
}

fn open(place: &Place) -> anyhow::Result<KeyStore> {
    KeyStore::open(&place.data_dir).with_context(|| format!("DATA_DIR {} cannot be used", place.data_dir.display()))
}

fn rights(key: &ApiKey) -> String {
    let what = match key.scope {
        Scope::Read => "read",
        Scope::Submit => "read and submit",
        Scope::Admin => "do everything",
    };
    let whose = key.sessions.as_ref().map(|prefix| format!(" in sessions {prefix}…")).unwrap_or_default();
    let until = key.expires.map(|time| format!(" until {time:.0}")).unwrap_or_default();
    format!("{what}{whose}{until}")
}

fn parse_expiry(text: &str) -> Result<Timestamp, String> {
    let wrong = || "it must be a time from now like 30d, 12h or 90m, or a date like 2027-01-31".to_owned();
    let now = Timestamp::now();
    let expires = if let Ok(date) = text.parse::<jiff::civil::Date>() {
        date.to_zoned(jiff::tz::TimeZone::UTC).map(|time: Zoned| time.timestamp()).map_err(|_| wrong())?
    } else {
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
        let hours = match unit {
            'd' => SignedDuration::from_hours(24),
            'h' => SignedDuration::from_hours(1),
            'm' => SignedDuration::from_mins(1),
            _ => return Err(wrong()),
        };
        let after = i32::try_from(number).ok().and_then(|number| hours.checked_mul(number)).ok_or_else(wrong)?;
        now.checked_add(after).map_err(|_| wrong())?
    };
    if expires <= now { Err("it must lie in the future".to_owned()) } else { Ok(expires) }
}

/// Refuses an empty prefix, which would mean all sessions: an unset variable of a script must not grant that.
fn parse_prefix(text: &str) -> Result<String, String> {
    let prefix: SessionId = text.parse().map_err(|error| format!("no session's id begins like that: {error}"))?;
    Ok(prefix.to_string())
}

fn parse_model(text: &str) -> Result<String, InvalidModelName> {
    check_model_name(text).map(|()| text.to_owned())
}

fn parse_cost(text: &str) -> Result<Cost, String> {
    let dollars: f64 = text.parse().map_err(|_| "it must be a number of US dollars".to_owned())?;
    if dollars > 0.0 && dollars.is_finite() {
        Ok(Cost::from_dollars(dollars))
    } else {
        Err("it must be a number of US dollars above 0".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::parse_expiry;

    #[test]
    fn an_expiry_is_a_time_from_now_or_a_date() {
        let left = |text: &str| parse_expiry(text).map(|time| time.duration_since(Timestamp::now()));
        assert!(left("30d").unwrap() > SignedDuration::from_hours(24 * 30 - 1));
        assert!(left("90m").unwrap() <= SignedDuration::from_mins(90));
        assert!(left("2999-01-31").is_ok());
        for wrong in ["", "d", "30", "-1d", "0h", "30y", "2001-01-31", "99999999999d", "ä"] {
            assert!(parse_expiry(wrong).is_err(), "{wrong:?}");
        }
    }
}
