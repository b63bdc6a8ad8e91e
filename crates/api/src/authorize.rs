//! Who may call: every request is given its [`Caller`], and counted.

mod credential;

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::access::Scope;
use domain::session::SessionId;
use http::{HeaderMap, HeaderName, Method};
use tower_http::cors::CorsLayer;

use super::audit::{Admitted, Entry, REQUEST_ID, peer};
use super::paging::PARTIAL;
use super::{Api, ApiError};
use crate::access::{Caller, Keys, Rate, Tickets};
use crate::settings::OriginList;
use credential::{Credential, bearer};

pub(super) use credential::{STREAM_PROTOCOL, origin_of};

/// Routes that answer without a key: a load balancer has none, and who signs in has not shown one yet.
const OPEN: [&str; 6] = ["/health", "/ready", "/", "/assets/{file}", "/docs", "/docs/{file}"];

/// What decides who is let in.
pub struct Guard {
    pub keys: Keys,
    pub tickets: Tickets,
    pub rate: Rate,
}

/// With keys set, a request without a valid one gets nowhere, not even to learn which routes there are.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let entry = request.extensions().get::<Entry>().cloned().unwrap_or_default();
    let caller = if route.as_deref().is_some_and(|route| OPEN.contains(&route)) {
        entry.admitted(Admitted::Openly);
        Caller::anyone()
    } else {
        let caller = identify(&api.guard, &request, peer(&request))?;
        entry.admitted(Admitted::As(caller.key.clone()));
        allow(&api.guard, &caller, request.method(), route.as_deref())?;
        caller
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Who it is. Where there are no keys and never were, everyone on this machine.
fn identify(guard: &Guard, request: &Request, peer: IpAddr) -> Result<Caller, ApiError> {
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

/// Whether they may do that, now.
fn allow(guard: &Guard, caller: &Caller, method: &Method, route: Option<&str>) -> Result<(), ApiError> {
    guard.rate.call(caller.key.as_ref()).map_err(ApiError::rate_limited)?;
    let needed = needed_scope(method, route);
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
        .expose_headers([http::header::LINK, http::header::LOCATION, http::header::RETRY_AFTER, REQUEST_ID, PARTIAL])
        .max_age(std::time::Duration::from_mins(10));
    Some(layer)
}
