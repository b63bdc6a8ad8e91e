//! Shared parts of list commands: paging, and the format of times and money.

use std::io::{self, Write as _};

use api_types::session::Session;
use api_types::time::Time;
use clap::Args;
use http::header::LINK;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::remote::{Answered, Remote};
use super::table::Table;
use super::terminal;

/// The maximum number of records in one answer of the server.
const PAGE: usize = 500;

/// The age at which a date shows its year: a month's name alone means the nearest one.
const NOT_LONG_AGO: SignedDuration = SignedDuration::from_hours(300 * 24);

/// The part of a list to print.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Print at most this many, the newest first
    #[arg(long, default_value = "50", value_parser = parse_limit, conflicts_with = "all")]
    limit: usize,

    /// Print all of them
    #[arg(long)]
    all: bool,
}

impl Extent {
    pub(super) fn most(self) -> usize {
        if self.all { usize::MAX } else { self.limit }
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| "it must be a whole number from 1 on".to_owned())
}

/// Reads a list of the server page by page, the newest first, and passes each page to `each`. Returns true if there are more.
pub(super) async fn pages<T: DeserializeOwned>(
    remote: &Remote,
    list: &str,
    filters: &[(&str, String)],
    most: usize,
    mut each: impl FnMut(Vec<Answered<T>>) -> io::Result<()>,
) -> anyhow::Result<bool> {
    let mut left = most;
    let mut cursor: Option<String> = None;
    loop {
        let limit = left.min(PAGE).to_string();
        let mut query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.push(("limit", &limit));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let response = remote.send(remote.request(Method::GET, &[list], &query)?).await?;
        let link = response.headers().get(LINK).and_then(|link| link.to_str().ok()).unwrap_or_default();
        let next = cursor_in(link).map(str::to_owned);
        let page: Vec<Answered<T>> = response.json().await.map_err(|error| remote.unreadable(&error))?;
        left = left.saturating_sub(page.len());
        let is_empty = page.is_empty();
        each(page)?;
        if next.is_none() || is_empty || left == 0 {
            return Ok(next.is_some());
        }
        cursor = next;
    }
}

/// A list as `tasks` and `webhooks` show it.
pub(super) struct PagedList<T> {
    /// The list's path, and the sentence for an empty list.
    pub(super) path: &'static str,
    pub(super) empty: &'static str,
    pub(super) nothing_fits: &'static str,
    pub(super) table: fn(&[T]) -> Table,
}

impl<T: DeserializeOwned> PagedList<T> {
    /// Prints the list as a table, or with `json` as one record per line as they arrive. Filters without a value are ignored.
    pub(super) async fn print<const N: usize>(
        &self,
        remote: &Remote,
        filters: [(&str, Option<String>); N],
        extent: Extent,
        json: bool,
    ) -> anyhow::Result<()> {
        let filters: Vec<(&str, String)> =
            filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let mut records = Vec::new();
        let more = pages(remote, self.path, &filters, extent.most(), |page| {
            if json {
                return print_lines(&page);
            }
            records.extend(page.into_iter().map(|record| record.value));
            Ok(())
        })
        .await?;
        if !json && records.is_empty() {
            writeln!(io::stderr(), "{}", if filters.is_empty() { self.empty } else { self.nothing_fits })?;
        } else if !json {
            print_table(&(self.table)(&records))?;
        }
        Ok(print_more_hint(more)?)
    }
}

/// Prints a hint below an incomplete list.
fn print_more_hint(more: bool) -> io::Result<()> {
    if more { writeln!(io::stderr(), "there are more: --limit N or --all shows them") } else { Ok(()) }
}

/// Extracts the cursor from `</tasks?limit=2&cursor=CURSOR&q=x>; rel="next"`
fn cursor_in(link: &str) -> Option<&str> {
    let query = link.split_once('?')?.1.split_once('>')?.0;
    query.split('&').find_map(|pair| pair.strip_prefix("cursor="))
}

/// Returns all sessions that the key may see.
pub(super) async fn sessions(remote: &Remote) -> anyhow::Result<Vec<Answered<Session>>> {
    let mut sessions = Vec::new();
    pages(remote, "sessions", &[], usize::MAX, |page| {
        sessions.extend(page);
        Ok(())
    })
    .await?;
    Ok(sessions)
}

/// Prints one record per line.
pub(super) fn print_lines(records: &[impl AsRef<str>]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    records.iter().try_for_each(|record| writeln!(stdout, "{}", terminal::json_line(record.as_ref())))
}

/// Prints a table, cut to the terminal's width.
pub(super) fn print_table(table: &Table) -> io::Result<()> {
    io::stdout().write_all(table.text(terminal::width()).as_bytes())
}

/// Prints names and values, one pair per line, without pairs that have no value.
pub(super) fn print_fields(fields: &[(&str, String)]) -> io::Result<()> {
    let fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut stdout = io::stdout().lock();
    fields.iter().try_for_each(|(name, value)| writeln!(stdout, "{name:width$}  {}", terminal::on_one_line(value)))
}

/// Formats a time in the local time zone, to the minute.
pub(super) fn time(at: Time) -> String {
    local(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Formats a time for a column, without its year or its time of day if that is unimportant.
pub(super) fn short_time(at: Time) -> String {
    let is_long_ago = Timestamp::now().duration_since(at.0) > NOT_LONG_AGO;
    local(at).strftime(if is_long_ago { "%Y-%m-%d" } else { "%m-%d %H:%M" }).to_string()
}

fn local(at: Time) -> Zoned {
    at.0.to_zoned(TimeZone::system())
}

/// Formats milliseconds for people.
pub(super) fn took(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        ..60 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        seconds @ 60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
    }
}

pub(super) fn cost(dollars: f64) -> String {
    format!("${dollars:.4}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_next_page_is_found_in_its_header() {
        assert_eq!(super::cursor_in("</tasks?limit=2&cursor=17-ab&q=x>; rel=\"next\""), Some("17-ab"));
        assert_eq!(super::cursor_in("</tasks?limit=2>; rel=\"next\""), None);
        assert_eq!(super::cursor_in(""), None);
    }

    #[test]
    fn durations_are_short() {
        assert_eq!([40, 1499, 60_000, 3_723_000].map(super::took), ["0.0 s", "1.4 s", "1 m 00 s", "1 h 02 m"]);
    }
}
