//! `POST /session/:id/ticket` returns a ticket with which a page opens a session's stream.

use api_types::request::TicketRequest;
use api_types::session::Ticket;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::session::SessionId;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::authorize::{STREAM_PROTOCOL, origin_of, visible};
use super::body::RawBody;
use super::extract::Path;
use super::{Api, ApiError};
use crate::access::Caller;

pub(super) async fn issue(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, ApiError> {
    let session: SessionId = id.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
    let session = visible(&caller, session)?;
    let body: TicketRequest = if body.bytes.is_empty() { TicketRequest::default() } else { body.json().await? };
    if let Some(origin) = &body.origin {
        check_origin(origin)?;
    }
    let origin = origin_of(&headers).or(body.origin);
    let ticket = api.guard.tickets.issue(&caller, session, origin).ok_or_else(ApiError::too_many_tickets)?;
    let expires = Timestamp::now() + ticket.lifetime;
    let text = ticket.text.expose_secret();
    let body = Ticket {
        ticket: text.to_owned(),
        expires_at: expires.into(),
        protocols: [STREAM_PROTOCOL.to_owned(), format!("ticket.{text}")],
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `https://host` or `https://host:port`, as a browser sends it.
fn check_origin(origin: &str) -> Result<(), ApiError> {
    let is_origin = url_of(origin).is_some_and(|url| url.origin().ascii_serialization() == origin);
    if is_origin {
        Ok(())
    } else {
        Err(ApiError::invalid("origin: it must be like https://app.example.com, without a path"))
    }
}

fn url_of(text: &str) -> Option<reqwest::Url> {
    reqwest::Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()))
}
