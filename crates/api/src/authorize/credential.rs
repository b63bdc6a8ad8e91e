//! Reads the credential of a request.

use axum::extract::Request;
use domain::session::SessionId;
use http::HeaderMap;
use http::header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use percent_encoding::percent_decode_str;

/// The subprotocol of the stream. A browser must offer one beside its ticket, and expects it in the answer.
pub(in super::super) const STREAM_PROTOCOL: &str = "claude-runner";
const TICKET: &str = "ticket.";

pub(super) enum Credential<'a> {
    /// `Authorization: Bearer KEY`.
    Key(&'a str),
    /// `Sec-WebSocket-Protocol: claude-runner, ticket.TICKET`, on a session's stream.
    Ticket {
        text: &'a str,
        session: SessionId,
    },
    /// Another form of `Authorization`.
    Other,
    None,
}

impl Credential<'_> {
    pub(super) fn of(request: &Request) -> Credential<'_> {
        if let Some(key) = bearer(request.headers()) {
            return Credential::Key(key);
        }
        let protocols =
            request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let ticket = protocols.flat_map(|value| value.split(',')).find_map(|part| part.trim().strip_prefix(TICKET));
        match (ticket, stream_of(request.uri().path())) {
            (Some(text), Some(session)) => Credential::Ticket { text, session },
            (_, _) if request.headers().contains_key(AUTHORIZATION) => Credential::Other,
            (_, _) => Credential::None,
        }
    }
}

/// The key of `Authorization: Bearer KEY`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The session of `/stream/ID`.
fn stream_of(path: &str) -> Option<SessionId> {
    let id = path.strip_prefix("/stream/")?;
    percent_decode_str(id).decode_utf8().ok()?.parse().ok()
}

/// Returns the origin of the page that sent a request.
pub(in super::super) fn origin_of(headers: &HeaderMap) -> Option<String> {
    headers.get(ORIGIN)?.to_str().ok().map(str::to_owned)
}
