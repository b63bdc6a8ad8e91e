//! `GET /session/:id/events`: a session's events over plain HTTP, as server-sent events or as lines of JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use api_types::event::{self, Gap, GapReason};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::session::{Epoch, EventCursor, SessionId};
use futures::stream::{self, Stream, StreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use observe::metrics::{Subscribed, Transport};
use serde::Deserialize;
use sessions::session::{Cursor, EventLog, Missing, Page};
use tokio_util::sync::CancellationToken;

use super::authorize::visible;
use super::extract::{Path, Query};
use super::{Api, ApiError, view};
use crate::access::{Caller, CallerShares, Turn};

/// The interval of keep-alives, so that proxies do not close an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Up to this size, an event and its end of line are sent as one piece.
const COPIED_BYTES: usize = 16 * 1024;

/// The epoch of a session, on answers with numbered events.
pub(super) const EPOCH: HeaderName = HeaderName::from_static("session-epoch");

pub(super) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    since: Option<String>,
    follow: Option<String>,
}

/// Server-sent events, always live; or with `Accept: application/x-ndjson` lines of JSON, live with `?follow=1`.
pub(super) async fn events(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(shares): Extension<CallerShares>,
    Path(id): Path<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let session: SessionId = id.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
    let session = visible(&caller, session)?;
    let since = since(query.since.as_deref(), &headers)?;
    let wants_lines = accepts(&headers, "ndjson");
    let follow = !wants_lines || is_set(query.follow.as_deref());
    if !follow && api.registry.describe(&session).await?.is_none() {
        return Err(ApiError::unknown_session(&id));
    }
    let log = api.registry.subscribe(&session).await?.log;
    let latest = log.latest();
    // An export starts at the beginning, a live stream at the current position.
    let since = since.unwrap_or_else(|| log.at(if wants_lines { 0 } else { latest }));
    let until = if follow { u64::MAX } else { latest };
    let ends = [api.shutdown.clone(), caller.revoked];
    let counted = api.metrics.subscribed(if wants_lines { Transport::Lines } else { Transport::ServerSent });
    let pages = pages(&log, since, until, counted, shares);
    Ok((epoch(log.epoch()), live(wants_lines, pages, ends, lines, server_sent)).into_response())
}

/// The header with the epoch of the events in an answer.
pub(super) fn epoch(epoch: Epoch) -> [(HeaderName, String); 1] {
    [(EPOCH, epoch.to_string())]
}

/// Answers with the items, as lines or as server-sent events. It ends early if the server or the caller's key does. Each item
/// becomes text piece by piece, as the client reads: the pieces are copies, while the items are shared.
pub(super) fn live<T, L, E>(
    as_lines: bool,
    items: impl Stream<Item = T> + Send + 'static,
    [shutdown, revoked]: [CancellationToken; 2],
    lines: fn(T) -> L,
    server_sent: fn(T) -> E,
) -> Response
where
    T: Send + 'static,
    L: Iterator<Item = Bytes> + Send + 'static,
    E: Iterator<Item = Event> + Send + 'static,
{
    // Both are checked before each item, so that no item is sent with a key that is no longer valid.
    let items = items.take_until(shutdown.cancelled_owned()).take_until(revoked.cancelled_owned());
    if as_lines {
        let lines = items.flat_map(move |item| stream::iter(lines(item)).map(Ok::<_, Infallible>));
        return ([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response();
    }
    let events = items.flat_map(move |item| stream::iter(server_sent(item)).map(Ok::<_, Infallible>));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// A page for one client. While the client has not read it, the page holds its turn, if it was read from the store.
struct SentPage {
    epoch: Epoch,
    page: Page,
    _turn: Option<Turn>,
}

/// The pages of a log after `since` and up to `until`.
fn pages(
    log: &Arc<EventLog>,
    since: EventCursor,
    until: u64,
    counted: Subscribed,
    shares: CallerShares,
) -> impl Stream<Item = SentPage> + use<> {
    // The subscriber counts for as long as the stream exists.
    let reader = (log.cursor(since), counted, shares);
    stream::unfold(reader, move |(mut cursor, counted, shares): (Cursor, Subscribed, CallerShares)| async move {
        if cursor.since() >= until {
            return None;
        }
        match cursor.next_with(shares.page(1)).await {
            Ok((Page::End, _)) => None,
            Ok((page, turn)) => {
                let page = SentPage { epoch: cursor.epoch(), page, _turn: turn };
                Some((page, (cursor, counted, shares)))
            }
            Err(error) => {
                tracing::warn!(%error, "could not read events for a subscriber");
                None
            }
        }
    })
}

impl SentPage {
    /// The numbers and the JSON of the events. The iterator holds the page's turn.
    fn into_events(self) -> impl Iterator<Item = (u64, Bytes)> + Send + 'static {
        let events = match &self.page {
            Page::Events(events) => events.events().collect(),
            Page::Gap(missing) => vec![(missing.to, gap(missing, self.epoch).into())],
            Page::End => Vec::new(),
        };
        events.into_iter().inspect(move |_| {
            let _held = &self;
        })
    }
}

fn lines(page: SentPage) -> impl Iterator<Item = Bytes> + Send + 'static {
    page.into_events().flat_map(|(_, json)| {
        // A large event is not copied for each reader.
        if json.len() > COPIED_BYTES {
            return vec![json, Bytes::from_static(b"\n")];
        }
        vec![[&json[..], b"\n"].concat().into()]
    })
}

fn server_sent(page: SentPage) -> impl Iterator<Item = Event> + Send + 'static {
    let epoch = Some(page.epoch);
    // The cursor is the event's id, so that a browser sends it as `Last-Event-ID` when it reconnects.
    page.into_events().map(move |(seq, json)| {
        Event::default().id(EventCursor { epoch, seq }.to_string()).data(String::from_utf8_lossy(&json))
    })
}

/// The event that stands for missing ones. `epoch`: the session's.
pub(super) fn gap(missing: &Missing, epoch: Epoch) -> String {
    let reason = if missing.renewed { GapReason::Renewed } else { GapReason::Retention };
    view::text(&event::Event::Gap(Gap { from: missing.from, to: missing.to, reason, epoch }))
}

/// `?since`, or what a reconnecting `EventSource` sends.
fn since(query: Option<&str>, headers: &HeaderMap) -> Result<Option<EventCursor>, ApiError> {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    parse_since(query.or(header))
}

pub(super) fn parse_since(text: Option<&str>) -> Result<Option<EventCursor>, ApiError> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| ApiError::invalid("since: it must be EPOCH-SEQ or SEQ of the last event seen, or 0 for all"))
}

pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(kind))
}

/// A flag in a query: `?follow`, `?follow=1`, `?follow=true`.
pub(super) fn is_set(flag: Option<&str>) -> bool {
    matches!(flag, Some("" | "1" | "true"))
}
