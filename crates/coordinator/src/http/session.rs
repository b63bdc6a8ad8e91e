//! Sessions: listed, shown, reset, deleted.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::access::visible;
use super::extract::Path;
use super::{Api, ApiError, view};
use crate::access::{Caller, Visible};
use crate::session::SessionId;

/// A list longer than this is no list for a person; a page has its own view of it.
const MAX_SESSIONS: usize = 10_000;

/// `GET /sessions`.
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, ApiError> {
    let records = api.registry.context().store.sessions(prefix(&caller), None, MAX_SESSIONS).await?.items;
    let sessions: Vec<Value> =
        records.iter().map(|record| view::session(record, api.registry.status(&record.id))).collect();
    Ok(Json(json!(sessions)))
}

/// `GET /session/:id`.
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let session = visible(&caller, id.parse().map_err(|_| ApiError::unknown_session(&id))?)?;
    let view = api.registry.describe(&session).await?.ok_or_else(|| ApiError::unknown_session(&id))?;
    Ok(Json(view::session_details(&view)))
}

/// `DELETE /session/:id`: also for one that is not there.
pub(super) async fn delete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if let Ok(session) = id.parse::<SessionId>() {
        api.registry.delete(&visible(&caller, session)?).await?;
    }
    Ok(Json(json!({ "deleted": id })))
}

/// `POST /session/:id/reset`.
pub(super) async fn reset(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let reset = match id.parse::<SessionId>() {
        Ok(session) => api.registry.reset(&visible(&caller, session)?).await?,
        Err(_) => false,
    };
    Ok(Json(json!({ "sessionId": id, "reset": reset })))
}

/// With what the ids begin of the sessions that a caller sees; `None` for all.
pub(super) fn prefix(caller: &Caller) -> Option<&str> {
    match &caller.visible {
        Visible::All => None,
        Visible::Prefix(prefix) => Some(prefix),
        Visible::Only(session) => Some(session.as_str()),
    }
}
