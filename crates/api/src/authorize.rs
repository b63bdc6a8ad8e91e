//! Authorizes requests: each gets its [`Caller`], and is counted.

mod credential;

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::access::Scope;
use domain::session::SessionId;
use http::{HeaderMap, HeaderName, Method};
use tower_http::cors::CorsLayer;

use super::audit::{AdmissionSlot, Admitted, REQUEST_ID, peer};
use super::error::NO_KEY;
use super::events::EPOCH;
use super::paging::PARTIAL;
use super::{Api, ApiError};
use crate::access::{Caller, Holder, Keys, Rate, Shares, Tickets};
use crate::listen::ConnectionPlace;
use crate::settings::OriginList;
use credential::{Credential, bearer};

pub(super) use credential::{STREAM_PROTOCOL, origin_of};

/// Routes that answer without a key: load balancers have none, and the login page is shown before a key is entered.
const OPEN: [&str; 6] = ["/health", "/ready", "/", "/assets/{file}", "/docs", "/docs/{file}"];

const OTHER_SCHEME: &str = "an API key is needed in the form `Authorization: Bearer KEY`";
const UNKNOWN_KEY: &str = "this API key is not known here: it is mistyped, was revoked, or is of another server";
const UNKNOWN_TICKET: &str =
    "this ticket cannot be used: it is good for one stream of its session, from its page, for 30 s";

/// Everything that authorization needs.
pub struct Guard {
    pub keys: Keys,
    pub tickets: Tickets,
    pub rate: Rate,
    pub shares: Shares,
}

/// If there are keys, a request without a valid one is refused before routing, so that it does not learn which routes
/// exist.
pub(super) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let admission = request.extensions().get::<AdmissionSlot>().cloned().unwrap_or_default();
    let (peer, is_open) = (peer(&request), route.as_deref().is_some_and(|route| OPEN.contains(&route)));
    let (caller, holder) = if is_open {
        admission.admitted(Admitted::Openly);
        // A valid key counts even if the route needs none, so that the limits of its address do not apply.
        let shown = bearer(request.headers()).and_then(|key| api.guard.keys.find(key));
        let holder = Holder::of(shown.as_ref().unwrap_or(&Caller::anyone()), peer);
        if shown.is_some() {
            admit_connection(&request, &holder)?;
        }
        (Caller::anyone(), holder)
    } else {
        let caller = identify(&api.guard, &request, peer)?;
        admission.admitted(Admitted::As(caller.key.clone()));
        let holder = Holder::of(&caller, peer);
        admit_connection(&request, &holder)?;
        allow(&api.guard, &caller, request.method(), route.as_deref())?;
        (caller, holder)
    };
    request.extensions_mut().insert(caller);
    api.guard.shares.hold(holder, route.as_deref(), is_open, request, next).await
}

/// Counts the connection against its caller, which a request on it has named.
fn admit_connection(request: &Request, holder: &Holder) -> Result<(), ApiError> {
    let Some(place) = request.extensions().get::<ConnectionPlace>() else { return Ok(()) };
    place.admitted(holder).map_err(|exhausted| ApiError::exhausted("connections", exhausted))
}

/// Returns the caller. If there has never been a key, everyone on this machine is the anonymous caller.
fn identify(guard: &Guard, request: &Request, peer: IpAddr) -> Result<Caller, ApiError> {
    if let Some(anyone) = guard.keys.anyone() {
        return Ok(anyone);
    }
    let found = match Credential::of(request) {
        Credential::Key(key) => guard.keys.find(key).ok_or(UNKNOWN_KEY),
        Credential::Ticket { text, session } => {
            let origin = origin_of(request.headers());
            guard.tickets.redeem(text, &session, origin.as_deref()).ok_or(UNKNOWN_TICKET)
        }
        Credential::Other => Err(OTHER_SCHEME),
        Credential::None => Err(NO_KEY),
    };
    found.map_err(|sentence| match guard.rate.guess(peer) {
        Ok(()) => ApiError::unauthorized(sentence),
        Err(wait) => ApiError::rate_limited(wait),
    })
}

/// Checks that the caller may use the route now.
fn allow(guard: &Guard, caller: &Caller, method: &Method, route: Option<&str>) -> Result<(), ApiError> {
    guard.rate.call(caller.key.as_ref()).map_err(ApiError::rate_limited)?;
    let needed = needed_scope(method, route);
    if caller.scope < needed { Err(ApiError::forbidden(needed)) } else { Ok(()) }
}

/// A key that may read may make a ticket, because a ticket can only read. Prices concern the whole installation.
fn needed_scope(method: &Method, route: Option<&str>) -> Scope {
    match (method, route) {
        (&Method::GET | &Method::HEAD | &Method::OPTIONS, _) | (&Method::POST, Some("/session/{id}/ticket")) => {
            Scope::Read
        }
        // A key that may submit tasks must not approve the calls of their agents.
        (_, Some("/models/refresh" | "/ask/{id}/answer")) => Scope::Admin,
        (_, _) => Scope::Submit,
    }
}

/// Returns the caller of a request to an open path, who may see more than the server's health.
pub(super) fn known_caller(guard: &Guard, headers: &HeaderMap) -> Option<Caller> {
    guard.keys.anyone().or_else(|| guard.keys.find(bearer(headers)?))
}

/// Returns the session of a path if it exists for the caller.
pub(super) fn visible(caller: &Caller, session: SessionId) -> Result<SessionId, ApiError> {
    if caller.sees(&session) { Ok(session) } else { Err(ApiError::unknown_session(session.as_str())) }
}

/// Allows pages of these origins to call. Returns `None` without origins, because the layer would answer every `OPTIONS` itself,
/// without a key.
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
        .expose_headers([
            http::header::LINK,
            http::header::LOCATION,
            http::header::RETRY_AFTER,
            REQUEST_ID,
            PARTIAL,
            EPOCH,
        ])
        .max_age(std::time::Duration::from_mins(10));
    Some(layer)
}
