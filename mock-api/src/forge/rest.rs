//! All routes of the forge: authentication, faults, the rate limit and the handlers.

mod app;
mod graphql;
mod lfs;
mod pulls;
mod references;
mod repositories;

use std::sync::Arc;

use axum::extract::{Request, State as AppState};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, patch, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::body;
use super::error::ForgeError;
use super::git_http::{self, GitRequest};
use super::state::{State, Token};

pub(super) fn router(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/user", get(user))
        .route("/user/repos", get(repositories::list))
        .route("/installation/repositories", get(repositories::list_of_installation))
        .route("/rate_limit", get(|| async { Json(json!({})) }))
        .route("/repos/{owner}/{name}", get(repositories::show))
        .route("/repos/{owner}/{name}/branches/{*branch}", get(repositories::branch))
        .route("/repos/{owner}/{name}/contents/{*path}", get(references::directory))
        .route("/repos/{owner}/{name}/git/commits/{commit}", get(references::commit))
        .route("/repos/{owner}/{name}/git/trees/{tree}", get(references::tree))
        .route("/repos/{owner}/{name}/git/refs", post(references::create))
        .route("/repos/{owner}/{name}/git/refs/{*reference}", patch(references::change).delete(references::delete))
        .route("/repos/{owner}/{name}/pulls", get(pulls::list).post(pulls::open))
        .route("/repos/{owner}/{name}/pulls/{number}", patch(pulls::change).get(pulls::show))
        .layer(from_fn_with_state(Arc::clone(&state), require_token))
        .route("/repos/{owner}/{name}/installation", get(app::installation))
        .route("/app/installations/{id}/access_tokens", post(app::access_token));
    Router::new()
        .nest("/api/v3", api)
        .route("/api/graphql", post(graphql::query).layer(from_fn_with_state(Arc::clone(&state), require_token)))
        .route("/{owner}/{repository}/{*rest}", any(git))
        .fallback(|| async { ForgeError::NotFound })
        .layer(from_fn_with_state(Arc::clone(&state), watch))
        .with_state(state)
}

/// Counts and records every call, and fails those for which a test has injected a fault.
async fn watch(AppState(state): AppState<Arc<State>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let is_api = uri.path().starts_with("/api/");
    let mut response = match state.faults().take(&method, &uri.to_string()) {
        Some(fault) => ForgeError::Ordered(fault).into_response(),
        None if is_api && state.rate().take().is_err() => ForgeError::RateLimited.into_response(),
        None => match redirect(&state, &uri) {
            Some(location) => moved(&method, &location),
            None => next.run(request).await,
        },
    };
    if is_api {
        state.rate().write(response.headers_mut());
    }
    state.remember(format!("{method} {uri} {}", response.status().as_u16()));
    response
}

/// The address of a call that names a repository by its old name.
fn redirect(state: &State, uri: &Uri) -> Option<String> {
    const API: &str = "/api/v3/repos/";
    let path = uri.path_and_query()?.as_str();
    let (prefix, rest) = path.strip_prefix(API).map_or(("/", path.strip_prefix('/')?), |rest| (API, rest));
    let (owner, rest) = rest.split_once('/')?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let (name, suffix) = name.strip_suffix(".git").map_or((name, ""), |name| (name, ".git"));
    let present = state.present_name(&format!("{owner}/{name}"))?;
    Some(format!("{}{prefix}{present}{suffix}{rest}", state.url()))
}

/// GitHub redirects calls that change something by 307, and others by 301.
fn moved(method: &Method, location: &str) -> Response {
    let status = if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let body = Json(json!({ "message": "Moved Permanently", "url": location }));
    (status, [(header::LOCATION, location)], body).into_response()
}

/// Requires `Authorization: Bearer TOKEN` or `token TOKEN`, which the REST API accepts.
async fn require_token(
    AppState(state): AppState<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ForgeError> {
    let secret = authorization(request.headers())
        .and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("token ")))
        .ok_or(ForgeError::NoCredentials)?;
    let token = state.token(secret).ok_or(ForgeError::BadCredentials)?;
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

async fn user(Extension(token): Extension<Token>) -> Json<Value> {
    Json(body::user(&token))
}

/// `/OWNER/NAME.git/…`. git first sends no credential, and repeats the request with `Basic` after a 401.
async fn git(AppState(state): AppState<Arc<State>>, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let token = basic(&parts.headers).and_then(|secret| state.token(&secret)).ok_or_else(unauthorized)?;
    let full_name = repository_of(&parts.uri).ok_or_else(|| ForgeError::NotFound.into_response())?;
    let repository = state.find(&token, &full_name).ok_or_else(|| ForgeError::NotFound.into_response())?;
    let writes = parts.uri.path().ends_with("/git-receive-pack")
        || parts.uri.query().is_some_and(|query| query.contains("git-receive-pack"));
    if writes && (!token.may_write || repository.archived) {
        let error = if repository.archived { ForgeError::Archived } else { ForgeError::Forbidden };
        return Err(error.into_response());
    }
    if parts.uri.path().ends_with(lfs::BATCH) {
        return lfs::batch(&state, &repository, body).await.map_err(ForgeError::into_response);
    }
    let request = GitRequest {
        directory: state.directory(),
        method: parts.method.as_str(),
        uri: &parts.uri,
        headers: &parts.headers,
        login: &token.login,
    };
    git_http::serve(request, body).await.map_err(ForgeError::into_response)
}

/// Extracts `OWNER/NAME` from `/OWNER/NAME.git/info/refs`.
fn repository_of(uri: &Uri) -> Option<String> {
    let mut parts = uri.path().strip_prefix('/')?.splitn(3, '/');
    let (owner, name) = (parts.next()?, parts.next()?);
    Some(format!("{owner}/{}", name.strip_suffix(".git")?))
}

/// The password of `Basic`. The user name does not matter, as with GitHub.
fn basic(headers: &HeaderMap) -> Option<String> {
    let encoded = authorization(headers)?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    Some(decoded.split_once(':')?.1.to_owned())
}

fn unauthorized() -> Response {
    let mut response = ForgeError::NoCredentials.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"forge\""));
    response
}
