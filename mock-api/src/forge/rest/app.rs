//! A GitHub App: it authenticates with a JWT and gets tokens for chosen repositories that are valid for one hour.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as AppState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::authorization;
use crate::forge::error::ForgeError;
use crate::forge::state::{State, Token};

/// The only installation.
const INSTALLATION: u64 = 77;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    repositories: Vec<String>,
}

/// `GET /repos/OWNER/NAME/installation`.
pub(super) async fn installation(
    AppState(state): AppState<Arc<State>>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, ForgeError> {
    signed_in(&headers)?;
    let all = Token::full("", "");
    let repository = state.find(&all, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    Ok(Json(json!({ "id": INSTALLATION, "account": { "login": owner }, "target_id": repository.id })))
}

/// `POST /app/installations/ID/access_tokens` `{"repositories":["NAME"]}`.
pub(super) async fn access_token(
    AppState(state): AppState<Arc<State>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ForgeError> {
    signed_in(&headers)?;
    if id != INSTALLATION {
        return Err(ForgeError::NotFound);
    }
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let all = state.visible(&Token::full("", ""));
    let names = all.into_iter().map(|repository| repository.full_name);
    let chosen =
        names.filter(|full_name| wanted.repositories.iter().any(|name| full_name.ends_with(&format!("/{name}"))));
    let secret = format!("ghs_{}", Uuid::new_v4().simple());
    state.add_token(Token::installation(secret.clone(), chosen.collect()));
    let answer =
        json!({ "token": secret, "expires_at": "2999-01-01T00:00:00Z", "permissions": { "contents": "write" } });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Checks that the JWT has three parts, uses RS256 and names its app. It does not check the signature, because the
/// forge does not have the App's key.
fn signed_in(headers: &HeaderMap) -> Result<(), ForgeError> {
    let token =
        authorization(headers).and_then(|value| value.strip_prefix("Bearer ")).ok_or(ForgeError::NoCredentials)?;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _signature] = parts[..] else { return Err(ForgeError::BadCredentials) };
    let json = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let valid = json(header).is_some_and(|header| header["alg"] == "RS256")
        && json(claims).is_some_and(|claims| !claims["iss"].is_null() && claims["exp"].is_u64());
    if valid { Ok(()) } else { Err(ForgeError::BadCredentials) }
}
