//! Checks a request's Host and Origin before anything else of it is used. A server on
//! loopback is one web page away from attackers, so this check precedes authentication.

mod authority;
mod headers;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};

use super::audit::Refused;
use super::{ApiError, MAX_BODY_BYTES};
use crate::settings::{HostList, OriginList};
use authority::Authority;

pub(super) use headers::secure;

/// The host names of the server, and the origins whose pages may call it.
#[derive(Clone, Debug)]
pub struct Perimeter {
    listens_on: SocketAddr,
    allowed_hosts: HostList,
    origins: OriginList,
}

/// The server's address of the connection, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalAddress(pub(super) SocketAddr);

/// The reason why the perimeter refuses a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Host: {0}")]
    InvalidHost(&'static str),
    #[error("{0} is not a name of this server; ALLOWED_HOSTS allows further names, like those of a reverse proxy")]
    HostNotAllowed(String),
    #[error("pages of this origin may not call this server; CORS_ORIGINS allows further origins")]
    OriginNotAllowed,
    #[error("pages of other sites may not call this server; CORS_ORIGINS allows further origins")]
    CrossSite,
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    TwoLengths,
}

impl Perimeter {
    pub fn new(listens_on: SocketAddr, allowed_hosts: HostList, origins: OriginList) -> Self {
        Perimeter { listens_on, allowed_hosts, origins }
    }

    fn is_ours(&self, host: &Authority, local: Option<SocketAddr>) -> bool {
        let by_name = host.is_loopback()
            || host.is_address(self.listens_on.ip())
            // When the server listens on all addresses, a connection's local address is a valid Host.
            || self.listens_on.ip().is_unspecified() && local.is_some_and(|local| host.is_address(local.ip()));
        by_name && host.port().is_none_or(|port| port == self.listens_on.port())
            || self.allowed_hosts.allow(host.name(), host.port())
    }
}

/// Checks Host, Origin and Sec-Fetch-Site.
pub(super) async fn check_source(State(perimeter): State<Arc<Perimeter>>, request: Request, next: Next) -> Response {
    // The HTTP library may hide one of two lengths, depending on their order. Closing the connection makes that harmless: later
    // bytes on the connection are never read as a request.
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let local = request.extensions().get::<LocalAddress>().map(|local| local.0);
    let checked = perimeter.check(request.method(), request.uri(), request.version(), request.headers(), local);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let why = Extension(Refused(refusal.to_string()));
            (why, ApiError::refused(&refusal)).into_response()
        }
    };
    if chunked {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body must be declared as JSON, which a page cannot send to another origin without a preflight request, and its declared length
/// must not exceed the limit.
pub(super) async fn check_body(request: Request, next: Next) -> Result<Response, ApiError> {
    // The connection reads and drops the body of a request that is refused.
    objection(request.headers()).map_or(Ok(()), Err)?;
    Ok(next.run(request).await)
}

/// Returns the error of a body that the head alone shows to be wrong.
fn objection(headers: &HeaderMap) -> Option<ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Some(ApiError::too_large(MAX_BODY_BYTES));
    }
    let has_body = headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length > 0);
    (has_body && !is_json(headers)).then(ApiError::unsupported_media_type)
}

/// `application/json` or `application/NAME+json`, with any parameters, once.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else { return false };
    let is_token = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    subtype == "json" || subtype.strip_suffix("+json").is_some_and(is_token)
}
