//! `WS /stream/:sessionId`: a session's events, live, from any point on.

mod socket;

use std::convert::Infallible;
use std::time::Duration;

use api_types::event::{Connected, Event};
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use domain::session::{EventCursor, SessionId};
use futures::FutureExt as _;
use http::HeaderMap;
use observe::metrics::Transport;
use serde::Deserialize;
use sessions::session::{Cursor, Page, Subscription};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as SocketError, Utf8Bytes};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::authorize::{STREAM_PROTOCOL, visible};
use super::events::{gap, parse_since};
use super::extract::{Path, Query};
use super::{Api, ApiError, view};
use crate::access::{Caller, CallerShares, HeldShare};
use socket::{Socket, Upgrade};

/// Close codes: RFC 6455 §7.4.1, and two of our own.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const INTERNAL: u16 = 1011;
const REVOKED: u16 = 4001;
const TOO_SLOW: u16 = 4008;

/// The time in which a subscriber that has read everything else must read the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
pub(super) struct StreamQuery {
    since: Option<String>,
}

pub(super) async fn open(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    (Extension(share), Extension(shares)): (Extension<HeldShare>, Extension<CallerShares>),
    Path(id): Path<String>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    upgrade: Result<Upgrade, ApiError>,
) -> Result<Response, ApiError> {
    let session = SessionId::existing(&id).map_err(|error| ApiError::invalid(format!("{error}")))?;
    let session = visible(&caller, session)?;
    let since = parse_since(query.since.as_deref())?;
    let upgrade = upgrade?;
    let subscription = api.registry.subscribe(&session).await?;
    api.registry.prepare(&session).await;
    let (response, socket) = upgrade.accept(&headers, STREAM_PROTOCOL);
    let streams = api.streams.clone();
    // The task is tracked, because the shutdown does not see upgraded sockets.
    streams.spawn(async move {
        // The request is answered long before its subscriber disconnects.
        let _share = share;
        match socket.await {
            Ok(socket) => serve(socket, session, subscription, since, api, (caller.revoked, shares)).await,
            Err(error) => debug!(%error, session.id = %session, "a subscriber left before its stream began"),
        }
    });
    Ok(response)
}

async fn serve(
    socket: Socket,
    session: SessionId,
    subscription: Subscription,
    since: Option<EventCursor>,
    api: Api,
    (revoked, shares): (CancellationToken, CallerShares),
) {
    let _counted = api.metrics.subscribed(Transport::WebSocket);
    let log = &subscription.log;
    let latest = log.latest();
    let mut cursor = log.cursor(since.unwrap_or_else(|| log.at(latest)));
    let earliest = log.earliest().await.unwrap_or(1);
    let connected = Event::Connected(Connected {
        session_id: session.clone(),
        busy: subscription.busy,
        turns: subscription.turns,
        seq: latest,
        earliest_seq: earliest,
        epoch: log.epoch(),
    });
    drop(subscription);
    let (patience, shutdown) = (api.subscriber_timeout, api.shutdown.clone());
    let mut stream = Stream { socket, last: cursor.since(), patience, shutdown, revoked };
    let Err(ended) = stream.follow(view::text(&connected).into(), &mut cursor, &shares).await;
    debug!(session.id = %session, ?ended, seq = stream.last, "stream ends");
    drop(cursor);
    stream.close(ended).await;
}

struct Stream {
    socket: Socket,
    /// The number of the last event that was sent.
    last: u64,
    /// A subscriber that reads nothing for this long is disconnected. It can reconnect with its last `seq`.
    patience: Duration,
    shutdown: CancellationToken,
    revoked: CancellationToken,
}

/// The reason why a stream ended.
#[derive(Debug)]
enum Ended {
    /// The client left.
    Gone,
    Deleted,
    ShuttingDown,
    /// The key that opened it, or that made its ticket, was revoked.
    Revoked,
    TooSlow,
    Failed,
}

impl Stream {
    async fn follow(
        &mut self,
        connected: Utf8Bytes,
        cursor: &mut Cursor,
        shares: &CallerShares,
    ) -> Result<Infallible, Ended> {
        self.text(connected).await?;
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(self.send_rest(cursor).await),
                () = self.revoked.cancelled() => return Err(Ended::Revoked),
                page = cursor.next_with(shares.page(1)) => match page {
                    // The turn is held until the subscriber has read the page.
                    Ok((Page::Events(frames), _turn)) => {
                        let last = frames.last();
                        let Stream { socket, shutdown, revoked, patience, .. } = self;
                        in_time(shutdown, revoked, *patience, socket.send_events(frames)).await?;
                        self.last = last;
                    }
                    Ok((Page::Gap(missing), _)) => {
                        self.text(gap(&missing, cursor.epoch()).into()).await?;
                        self.last = missing.to;
                    }
                    Ok((Page::End, _)) => return Err(Ended::Deleted),
                    Err(error) => {
                        warn!(%error, "could not read events for a subscriber");
                        return Err(Ended::Failed);
                    }
                },
                () = self.socket.closed() => return Err(Ended::Gone),
            }
        }
    }

    /// Sends the events that were published before the shutdown, such as the ends of the last tasks.
    async fn send_rest(&mut self, cursor: &mut Cursor) -> Ended {
        let rest = async {
            while let Some(Ok(Page::Events(frames))) = cursor.next().now_or_never() {
                let last = frames.last();
                if self.socket.send_events(frames).await.is_err() {
                    return Ended::Gone;
                }
                self.last = last;
            }
            Ended::ShuttingDown
        };
        tokio::time::timeout(CLOSE_TIMEOUT, rest).await.unwrap_or(Ended::ShuttingDown)
    }

    async fn text(&mut self, text: Utf8Bytes) -> Result<(), Ended> {
        in_time(&self.shutdown, &self.revoked, self.patience, self.socket.send_text(text)).await
    }

    /// Closes with the reason. A subscriber that was too slow has the same time again to read the frames in flight and this
    /// reason.
    async fn close(mut self, ended: Ended) {
        let last = self.socket.cut().unwrap_or(self.last);
        let (code, reason, patience) = match ended {
            Ended::Gone => return,
            Ended::Deleted => (NORMAL, "the session was deleted".to_owned(), CLOSE_TIMEOUT),
            Ended::ShuttingDown => (GOING_AWAY, format!("shutting down; last seq {last}"), CLOSE_TIMEOUT),
            Ended::Revoked => (REVOKED, "the API key is not valid any more".to_owned(), CLOSE_TIMEOUT),
            Ended::TooSlow => (TOO_SLOW, format!("too slow; last seq {last}"), self.patience),
            Ended::Failed => (INTERNAL, "the events could not be read".to_owned(), CLOSE_TIMEOUT),
        };
        let stopped = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        tokio::select! {
            () = self.socket.close(close, patience) => {}
            () = stopped => {}
        }
    }
}

/// Sends to the subscriber, which has to read within its timeout.
async fn in_time(
    shutdown: &CancellationToken,
    revoked: &CancellationToken,
    patience: Duration,
    taken: impl Future<Output = Result<(), SocketError>>,
) -> Result<(), Ended> {
    tokio::select! {
        biased;
        taken = taken => taken.map_err(|_| Ended::Gone),
        () = shutdown.cancelled() => Err(Ended::ShuttingDown),
        () = revoked.cancelled() => Err(Ended::Revoked),
        () = tokio::time::sleep(patience) => Err(Ended::TooSlow),
    }
}
