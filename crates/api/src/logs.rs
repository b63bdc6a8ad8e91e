//! `GET /task/:id/logs`: a task's log, as the CLI's own lines, as text for a person, or as our events.

use std::convert::Infallible;

use api_types::ask::Ask;
use api_types::event::Event;
use api_types::task::ErrorType;
use api_types::word;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::task::TaskId;
use futures::stream::{self, StreamExt as _};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use observe::metrics::Transport;
use serde::Deserialize;
use sessions::session::{Cursor, Page};
use store::{Store, StoreError};

use super::events::{NDJSON, is_set};
use super::extract::{Path, Query};
use super::task::visible_place;
use super::{Api, ApiError, events};
use crate::access::{Caller, CallerShares, Turn};

/// Rows read at once.
const PAGE: usize = 256;

/// The unit of turns.
const MEBIBYTE: usize = 1 << 20;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

#[derive(Deserialize)]
pub(super) struct LogsQuery {
    format: Option<String>,
    follow: Option<String>,
}

#[derive(Clone, Copy)]
enum Format {
    /// The CLI's stream-json lines without deltas. They are the default for compatibility with earlier callers.
    Lines,
    Text,
    Events,
}

pub(super) async fn logs(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(shares): Extension<CallerShares>,
    Path(id): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, ApiError> {
    let format = match query.format.as_deref() {
        None | Some("lines") => Format::Lines,
        Some("text") => Format::Text,
        Some("ndjson") => Format::Events,
        Some(_) => return Err(ApiError::invalid("format: it must be lines, text or ndjson")),
    };
    let place = visible_place(&api, &caller, &id).await?;
    let (store, task) = (api.store.clone(), place.id.clone());
    let news = if is_set(query.follow.as_deref()) && !place.status.is_final() {
        let log = api.registry.subscribe(&place.session_id).await?.log;
        Some(log.cursor(log.at(log.latest())))
    } else {
        None
    };
    // The epoch belongs to the session that the task was submitted to, which may be deleted.
    let epoch = store.session_epoch(place.session).await?;
    let reader = Reader { store, task, format, since: 0, news, ended: false, shares, turn: None };
    let revoked = caller.revoked.cancelled_owned();
    let counted = reader.news.is_some().then(|| api.metrics.subscribed(Transport::Log));
    let pages = stream::unfold((reader, counted), |(mut reader, counted)| async move {
        let page = reader.next().await?;
        Some((Ok::<_, Infallible>(page), (reader, counted)))
    });
    let pages = pages.take_until(revoked);
    let kind = match format {
        Format::Lines | Format::Text => PLAIN,
        Format::Events => NDJSON,
    };
    let mut response = ([(CONTENT_TYPE, kind)], Body::from_stream(pages)).into_response();
    if let (Some(epoch), Format::Events) = (epoch, format) {
        response = (events::epoch(epoch), response).into_response();
    }
    Ok(response)
}

struct Reader {
    store: Store,
    task: TaskId,
    format: Format,
    /// The row that was read last.
    since: u64,
    /// Set if the task is followed. Reports that the session's log grew.
    news: Option<Cursor>,
    /// The task had ended before the last read, so that read saw everything.
    ended: bool,
    shares: CallerShares,
    /// The turn of the page that the client reads.
    turn: Option<Turn>,
}

impl Reader {
    /// Returns the next piece; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // The client has read the previous page.
            self.turn = None;
            match self.page().await {
                Ok(page) if !page.is_empty() => return Some(page),
                // Nothing is held while nothing comes.
                Ok(_) => self.turn = None,
                Err(error) => {
                    tracing::warn!(%error, task.id = %self.task, "could not read a task's log");
                    return None;
                }
            }
            let news = self.news.as_mut().filter(|_| !self.ended)?;
            // Asked *before* reading on, so that what is written with the end is read after it.
            self.ended =
                self.store.task_place(&self.task).await.ok().flatten().is_none_or(|task| task.status.is_final());
            if !self.ended && !matches!(news.next_with(self.shares.page(1)).await, Ok((Page::Events(_), _))) {
                self.ended = true;
            }
        }
    }

    /// The rows after the last one, in the wanted form; empty where there are none.
    async fn page(&mut self) -> Result<Bytes, StoreError> {
        let mut bytes = Vec::new();
        loop {
            let rows = self.rows().await?;
            let Some((last, _)) = rows.last() else { return Ok(bytes.into()) };
            self.since = *last;
            for (_, row) in rows {
                match self.format {
                    Format::Lines | Format::Events => {
                        bytes.extend_from_slice(&row);
                        bytes.push(b'\n');
                    }
                    Format::Text => bytes.extend(readable(&row).into_bytes()),
                }
            }
            if !bytes.is_empty() {
                return Ok(bytes.into());
            }
        }
    }
}

impl Reader {
    /// Reads the next rows, and takes as many turns as they have mebibytes. A page has about one, and at least one row: a line of the
    /// CLI may have sixteen.
    async fn rows(&mut self) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let mut mebibytes = 1;
        loop {
            // Returned first: a reader that waits for more turns while it holds some could wait for ever.
            self.turn = None;
            let turn = self.shares.page(mebibytes).await;
            let rows = self.read().await?;
            let bytes: usize = rows.iter().map(|(_, row)| row.len()).sum();
            let needed = u32::try_from(bytes / MEBIBYTE).unwrap_or(u32::MAX).max(1);
            if needed <= mebibytes {
                self.turn = Some(turn);
                return Ok(rows);
            }
            mebibytes = needed;
        }
    }

    async fn read(&self) -> Result<Vec<(u64, Bytes)>, StoreError> {
        Ok(match self.format {
            Format::Lines => {
                let lines = self.store.task_lines(&self.task, self.since, PAGE).await?;
                lines.into_iter().map(|line| (line.number, line.line)).collect()
            }
            Format::Text | Format::Events => {
                let events = self.store.task_events(&self.task, self.since, PAGE).await?;
                events.into_iter().map(|event| (event.seq, event.json)).collect()
            }
        })
    }
}

fn decision(ask: &Ask) -> String {
    ask.decision.as_ref().map(word).unwrap_or_default()
}

/// Formats an event for a person. Many events have no readable form.
fn readable(json: &[u8]) -> String {
    let Ok(event) = serde_json::from_slice::<Event>(json) else { return String::new() };
    let ended =
        |error_type: ErrorType, error: &str| format!("\n=== {}: {error} ===\n", word(&error_type).to_uppercase());
    match event {
        Event::TaskStart(event) => format!("=== TASK {} ===\n", event.head.task_id),
        Event::Text(event) => event.text,
        Event::ToolStart(event) => format!("\n> {} {}\n", event.tool, event.input),
        Event::ToolEnd(event) => format!("{}\n\n", event.result),
        Event::Retry(event) => format!("\n(asked again: {})\n", event.reason),
        Event::Ask(event) => format!("\n(asks a person: {} {})\n", event.ask.tool, event.ask.input),
        Event::AskAnswered(event) => format!("\n(answered: {})\n", decision(&event.ask)),
        Event::AskExpired(event) => format!("\n(nobody answered in time: {})\n", decision(&event.ask)),
        Event::AskWithdrawn(_) => "\n(the question was withdrawn)\n".to_owned(),
        Event::Warning(event) => format!("\n(warning: {})\n", event.message),
        Event::TaskComplete(event) => format!("\n=== COMPLETED, ${:.4} ===\n", event.answer.cost),
        Event::TaskFailed(event) => ended(event.error_type, &event.error),
        Event::Abort(event) => ended(event.error_type, &event.error),
        Event::Connected(_)
        | Event::TaskQueued(_)
        | Event::Stage(_)
        | Event::Init(_)
        | Event::ThinkingStart(_)
        | Event::Thinking(_)
        | Event::Subagent(_)
        | Event::SessionReset(_)
        | Event::SessionDeleted(_)
        | Event::Gap(_)
        | Event::Raw(_)
        | Event::Unknown => String::new(),
    }
}
