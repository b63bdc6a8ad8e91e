//! Who may call: every request is given its [`Caller`], counted, and written down.

mod credential;
mod subject;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::cors::CorsLayer;

use super::{Api, ApiError};
use crate::access::{Caller, KeyId, Keys, Rate, Scope, Tickets};
use crate::audit;
use crate::config::OriginList;
use crate::session::SessionId;
use credential::{Credential, bearer};

pub(super) use credential::{STREAM_PROTOCOL, origin_of};
pub(super) use subject::Subject;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Paths that answer without a key: a load balancer has none, and who signs in has not shown one yet.
const OPEN: [&str; 4] = ["/health", "/ready", "/", "/docs"];
/// The files of the two pages.
const OPEN_BELOW: [&str; 2] = ["/assets/", "/docs/"];

/// What decides who is let in.
pub struct Guard {
    pub keys: Keys,
    pub tickets: Tickets,
    pub rate: Rate,
}

/// With keys set, a request without a valid one gets nowhere, not even to learn which routes there are.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let peer = peer(&request);
    let asked = Subject::of_path(route.as_deref(), request.uri().path());

    let mut line =
        AuditLine { began, id: id.clone(), key: None, peer, method, route: route.clone(), asked, status: None };
    let (caller, outcome) = match identify(&api.guard, &request, peer) {
        Ok(caller) => (Some(caller.clone()), allow(&api.guard, &caller, &request, route.as_deref()).map(|()| caller)),
        Err(error) => (None, Err(error)),
    };
    line.key = caller.and_then(|caller| caller.key);
    let mut response = match outcome {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    if let Ok(id) = HeaderValue::try_from(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if let Some(subject) = response.extensions().get::<Subject>() {
        line.asked = subject.clone();
    }
    line.status = Some(response.status().as_u16());
    response
}

/// What the audit log gets of a request when this is dropped: also of one whose caller hangs up, which is the end of its handler.
struct AuditLine {
    began: Instant,
    id: String,
    key: Option<KeyId>,
    peer: IpAddr,
    method: Method,
    route: Option<String>,
    asked: Subject,
    /// `None`: the caller was gone before the answer.
    status: Option<u16>,
}

impl Drop for AuditLine {
    fn drop(&mut self) {
        if self.route.as_deref().is_some_and(is_open) {
            return;
        }
        tracing::info!(
            target: audit::TARGET,
            {
                request.id = self.id,
                key.id = self.key.as_ref().map(KeyId::as_str),
                peer = %self.peer,
                http.method = %self.method,
                http.route = self.route,
                session.id = self.asked.session,
                task.id = self.asked.task,
                http.status = self.status,
                duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
            "request"
        );
    }
}

/// Who it is. Where there are no keys and never were, everyone on this machine.
fn identify(guard: &Guard, request: &Request, peer: IpAddr) -> Result<Caller, ApiError> {
    if is_open(request.uri().path()) {
        return Ok(Caller::anyone());
    }
    if let Some(anyone) = guard.keys.anyone() {
        return Ok(anyone);
    }
    let found = match Credential::of(request) {
        Credential::Key(key) => guard.keys.find(key),
        Credential::Ticket { text, session } => {
            let origin = origin_of(request.headers());
            guard.tickets.redeem(text, &session, origin.as_deref())
        }
        Credential::None => None,
    };
    match found {
        Some(caller) => Ok(caller),
        None => Err(match guard.rate.guess(peer) {
            Ok(()) => ApiError::unauthorized(),
            Err(wait) => ApiError::rate_limited(wait),
        }),
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || OPEN_BELOW.iter().any(|below| path.starts_with(below))
}

/// Whether they may do that, now.
fn allow(guard: &Guard, caller: &Caller, request: &Request, route: Option<&str>) -> Result<(), ApiError> {
    if is_open(request.uri().path()) {
        return Ok(());
    }
    guard.rate.call(caller.key.as_ref()).map_err(ApiError::rate_limited)?;
    let needed = needed_scope(request.method(), route);
    if caller.scope < needed { Err(ApiError::forbidden(needed)) } else { Ok(()) }
}

/// Whoever may read may have a ticket made, which can do no more.
fn needed_scope(method: &Method, route: Option<&str>) -> Scope {
    match (method, route) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) | (&Method::POST, Some("/session/{id}/ticket")) => {
            Scope::Read
        }
        (_, _) => Scope::Submit,
    }
}

/// Whether who asks an open path may know more than that the server lives.
pub(super) fn knows(guard: &Guard, headers: &HeaderMap) -> bool {
    guard.keys.anyone().is_some() || bearer(headers).is_some_and(|key| guard.keys.find(key).is_some())
}

/// The session of a path, where it exists for the caller.
pub(super) fn visible(caller: &Caller, session: SessionId) -> Result<SessionId, ApiError> {
    if caller.sees(&session) { Ok(session) } else { Err(ApiError::unknown_session(session.as_str())) }
}

/// Who asks; a listener that does not say so is a test's.
fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(address)| address.ip())
}

/// The caller's own, if it is a short word; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_word = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_word);
    given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned)
}

/// Pages of these origins may call. `None` where there are none: the layer would answer every `OPTIONS` itself, without a key.
pub(super) fn cors(origins: &OriginList) -> Option<CorsLayer> {
    if origins.0.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins.0.clone())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            http::header::AUTHORIZATION,
            http::header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("prefer"),
            REQUEST_ID,
        ])
        .expose_headers([http::header::LINK, http::header::LOCATION, http::header::RETRY_AFTER, REQUEST_ID])
        .max_age(std::time::Duration::from_mins(10));
    Some(layer)
}
