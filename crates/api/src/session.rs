//! Sessions: listed, shown, reset, deleted.

use std::collections::BTreeMap;

use api_types::body::CredentialBody;
use api_types::session::{Deleted, Reset, Session};
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use domain::access::Visible;
use domain::session::{CREDENTIAL_NAMES, MAX_CREDENTIAL_BYTES, SessionId};
use http::StatusCode;
use serde::Deserialize;
use sessions::session::{OwnCredential, own_credential};
use store::SessionSummary;

use super::authorize::visible;
use super::body::RawBody;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::submission::check_length;
use super::{Api, ApiError, view};
use crate::access::Caller;

/// The maximum number of sessions on a page. Earlier callers ask for no page, so it covers all sessions of most servers.
const MAX_SESSIONS: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /sessions`: in the order of their creation, in pages like `GET /tasks`.
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let paging = Paging::bounded(query.limit.as_deref(), query.cursor.as_deref(), MAX_SESSIONS, MAX_SESSIONS)?;
    let page = api.store.sessions(prefix(&caller), paging.cursor, paging.limit).await?;
    let show = |summary: &SessionSummary| view::session(summary, api.registry.status(&summary.id));
    Ok(paging.answer("/sessions", &page, show, &[]))
}

/// `GET /session/:id`.
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Session>, ApiError> {
    let session = session_of(&caller, &id)?;
    let view = api.registry.describe(&session).await?.ok_or_else(|| ApiError::unknown_session(&id))?;
    Ok(Json(view::session_details(&view)))
}

/// `DELETE /session/:id`, which also succeeds for a missing session.
pub(super) async fn delete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    if let Ok(session) = id.parse::<SessionId>() {
        api.registry.delete(&visible(&caller, session)?).await?;
    }
    Ok(Json(Deleted { deleted: id }))
}

/// `POST /session/:id/reset`.
pub(super) async fn reset(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Reset>, ApiError> {
    let reset = match id.parse::<SessionId>() {
        Ok(session) => api.registry.reset(&visible(&caller, session)?).await?,
        Err(_) => false,
    };
    Ok(Json(Reset { session_id: id, reset }))
}

/// The prefix of the session ids that a caller sees; `None` for all.
pub(super) fn prefix(caller: &Caller) -> Option<&str> {
    match &caller.visible {
        Visible::All => None,
        Visible::Prefix(prefix) => Some(prefix),
        Visible::Only(session) => Some(session.as_str()),
    }
}

/// `PUT /session/:id/credential`.
pub(super) async fn set_credential(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<StatusCode, ApiError> {
    let session = session_of(&caller, &id)?;
    let CredentialBody { api_key, oauth_token } = body.json().await?;
    let [key_name, token_name] = CREDENTIAL_NAMES;
    let (field, own) = match (api_key, oauth_token) {
        (Some(value), None) => ("apiKey", OwnCredential { name: key_name, value: value.into() }),
        (None, Some(value)) => ("oauthToken", OwnCredential { name: token_name, value: value.into() }),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::invalid("apiKey or oauthToken: give one of them, a string"));
        }
    };
    check_length(field, &own.value, MAX_CREDENTIAL_BYTES)?;
    if own_credential(&BTreeMap::from([(own.name.to_owned(), own.value.clone())])).is_err() {
        let sentence = format!("{field}: it must not be empty, and have only characters that an HTTP header may have");
        return Err(ApiError::invalid(sentence));
    }
    change_credential(&api, &session, Some(own)).await
}

/// `DELETE /session/:id/credential`. The operator's credential is used again.
pub(super) async fn delete_credential(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    change_credential(&api, &session_of(&caller, &id)?, None).await
}

fn session_of(caller: &Caller, id: &str) -> Result<SessionId, ApiError> {
    visible(caller, id.parse().map_err(|_| ApiError::unknown_session(id))?)
}

async fn change_credential(
    api: &Api,
    session: &SessionId,
    credential: Option<OwnCredential>,
) -> Result<StatusCode, ApiError> {
    if api.registry.set_credential(session, credential).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::unknown_session(session.as_str()))
    }
}
