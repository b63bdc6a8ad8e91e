//! Repositories and branches.

use std::sync::Arc;

use axum::extract::{Path, Query, State as AppState};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::forge::body;
use crate::forge::error::ForgeError;
use crate::forge::repository::git;
use crate::forge::state::{State, Token};

/// GitHub's default and maximum of `per_page`.
const PAGE: usize = 30;
const MAX_PAGE: usize = 100;

#[derive(Deserialize)]
pub(super) struct Paging {
    per_page: Option<usize>,
    page: Option<usize>,
}

/// `GET /user/repos`.
pub(super) async fn list(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Query(paging): Query<Paging>,
) -> Response {
    let (items, link) = page(&state, &token, &paging, "/user/repos");
    with_link(Json(Value::from(items)).into_response(), link)
}

/// `GET /installation/repositories`.
pub(super) async fn list_of_installation(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Query(paging): Query<Paging>,
) -> Response {
    let total = state.visible(&token).len();
    let (items, link) = page(&state, &token, &paging, "/installation/repositories");
    with_link(Json(json!({ "total_count": total, "repositories": items })).into_response(), link)
}

fn page(state: &State, token: &Token, paging: &Paging, path: &str) -> (Vec<Value>, Option<String>) {
    let size = paging.per_page.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let number = paging.page.unwrap_or(1).max(1);
    let all = state.visible(token);
    let items = all.iter().skip((number - 1) * size).take(size).map(|found| body::repository(state, token, found));
    let last = all.len().div_ceil(size).max(1);
    let url = format!("{}/api/v3{path}?per_page={size}&page=", state.url());
    let link = (number < last).then(|| format!("<{url}{}>; rel=\"next\", <{url}{last}>; rel=\"last\"", number + 1));
    (items.collect(), link)
}

fn with_link(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// `GET /repos/OWNER/NAME`.
pub(super) async fn show(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    Ok(Json(body::repository(&state, &token, &repository)))
}

/// `GET /repos/OWNER/NAME/branches/BRANCH`.
pub(super) async fn branch(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let commit = commit_of(&state, &repository.full_name, &branch).await.ok_or(ForgeError::NoBranch)?;
    Ok(Json(json!({ "name": branch, "commit": { "sha": commit }, "protected": false })))
}

/// Reads the commit of a branch with git.
pub(super) async fn commit_of(state: &State, full_name: &str, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    let found = git(&state.path_of(full_name), &["rev-parse", "--verify", "--quiet", &name], Vec::new()).await.ok()?;
    Some(found.trim().to_owned())
}
