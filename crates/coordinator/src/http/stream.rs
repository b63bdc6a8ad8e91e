//! `WS /stream/:sessionId`: a session's events, live, from any point on.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures::SinkExt as _;
use serde::Deserialize;
use serde_json::json;
use tracing::{debug, warn};

use super::events::{gap, parse_since};
use super::extract::{Path, Query};
use super::{Api, ApiError};
use crate::event::StoredEvent;
use crate::session::{Cursor, Page, SessionId, Subscription};

/// A subscriber that takes nothing for this long is let go: it can come back with its last `seq`.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Close codes: RFC 6455 §7.4.1, and one of our own.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const INTERNAL: u16 = 1011;
const TOO_SLOW: u16 = 4008;

/// Subscribers send nothing but pongs; what is read is bounded and small.
const READ_BYTES: usize = 4096;

/// Events go to the socket in pieces of this size, and what is left of a page at its end.
const WRITE_BYTES: usize = 8192;

#[derive(Deserialize)]
pub(super) struct StreamQuery {
    since: Option<String>,
}

pub(super) async fn open(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<StreamQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let session: SessionId = id.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
    let since = parse_since(query.since.as_deref())?;
    let upgrade = upgrade?;
    let subscription = api.registry.subscribe(&session).await?;
    api.registry.prepare(&session).await;
    let upgrade = upgrade.read_buffer_size(READ_BYTES).write_buffer_size(WRITE_BYTES).max_message_size(READ_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let streams = api.streams.clone();
        let stream = serve(socket, session, subscription, since, api);
        // Tracked, because shutting down does not see sockets that were upgraded.
        let _ = streams.spawn(stream).await;
    }))
}

async fn serve(mut socket: WebSocket, session: SessionId, subscription: Subscription, since: Option<u64>, api: Api) {
    let log = &subscription.log;
    let latest = log.latest();
    let mut cursor = log.cursor(since.map_or(latest, |since| since.min(latest)));
    let earliest = log.earliest().await.unwrap_or(1);
    let connected = json!({
        "type": "connected",
        "sessionId": session,
        "busy": subscription.busy,
        "turns": subscription.turns,
        "seq": latest,
        "earliestSeq": earliest,
    });
    drop(subscription);
    let ended = match send(&mut socket, connected.to_string().into()).await {
        Ok(()) => follow(&mut socket, &mut cursor, &api).await,
        Err(ended) => ended,
    };
    let (code, reason) = match ended {
        Ended::Gone => return,
        Ended::Deleted => (NORMAL, "the session was deleted".to_owned()),
        Ended::ShuttingDown => (GOING_AWAY, format!("shutting down; last seq {}", cursor.since())),
        Ended::TooSlow => (TOO_SLOW, format!("too slow; last seq {}", cursor.since())),
        Ended::Failed => (INTERNAL, "the events could not be read".to_owned()),
    };
    debug!(session.id = %session, code, reason, "stream ends");
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(close)).await;
}

/// Why a stream ended.
enum Ended {
    /// The client left.
    Gone,
    Deleted,
    ShuttingDown,
    TooSlow,
    Failed,
}

async fn follow(socket: &mut WebSocket, cursor: &mut Cursor, api: &Api) -> Ended {
    let shutdown = api.registry.context().shutdown.clone();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ended::ShuttingDown,
            page = cursor.next() => match page {
                Ok(Page::Events(events)) => {
                    if let Err(ended) = send_all(socket, events).await {
                        return ended;
                    }
                }
                Ok(Page::Gap { from, to }) => {
                    if let Err(ended) = send(socket, gap(from, to).into()).await {
                        return ended;
                    }
                }
                Ok(Page::End) => return Ended::Deleted,
                Err(error) => {
                    warn!(%error, "could not read events for a subscriber");
                    return Ended::Failed;
                }
            },
            received = socket.recv() => match received {
                // Nothing that a subscriber says means anything; pings are answered by the library.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Gone,
            },
        }
    }
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), Ended> {
    match tokio::time::timeout(SEND_TIMEOUT, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Gone),
        Err(_) => Err(Ended::TooSlow),
    }
}

/// A page of events, flushed once.
async fn send_all(socket: &mut WebSocket, events: Vec<StoredEvent>) -> Result<(), Ended> {
    for event in events {
        match tokio::time::timeout(SEND_TIMEOUT, socket.feed(Message::Text(text(event)))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Ended::Gone),
            Err(_) => return Err(Ended::TooSlow),
        }
    }
    match tokio::time::timeout(SEND_TIMEOUT, socket.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Ended::Gone),
        Err(_) => Err(Ended::TooSlow),
    }
}

/// Shares the event's bytes with all other subscribers.
fn text(event: StoredEvent) -> Utf8Bytes {
    Utf8Bytes::try_from(event.json).unwrap_or_default()
}
