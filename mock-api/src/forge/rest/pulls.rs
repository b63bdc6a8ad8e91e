//! Pull requests, between branches of one repository.

use std::sync::Arc;

use axum::extract::{Path, Query, State as AppState};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::repositories::commit_of;
use crate::forge::body;
use crate::forge::error::ForgeError;
use crate::forge::repository::git;
use crate::forge::state::{Pull, Repository, State, Token};

#[derive(Deserialize)]
pub(super) struct Filter {
    /// `OWNER:BRANCH`.
    head: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize)]
struct NewPull {
    title: String,
    head: String,
    base: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    draft: bool,
}

#[derive(Deserialize)]
struct Changes {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
}

/// `GET /repos/OWNER/NAME/pulls?head=OWNER:BRANCH&state=open`.
pub(super) async fn list(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name)): Path<(String, String)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let wanted = filter.state.as_deref().unwrap_or("open");
    let mut found = Vec::new();
    for pull in &repository.pulls {
        let in_state = wanted == "all" || (wanted == "open") == pull.open;
        let has_head = filter.head.as_ref().is_none_or(|head| *head == format!("{owner}:{}", pull.head));
        if in_state && has_head {
            found.push(shown(&state, &repository, pull).await);
        }
    }
    Ok(Json(Value::from(found)))
}

/// `POST /repos/OWNER/NAME/pulls`.
pub(super) async fn open(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    if !token.may_write {
        return Err(ForgeError::Forbidden);
    }
    if repository.archived {
        return Err(ForgeError::Archived);
    }
    let new: NewPull = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let head = new.head.strip_prefix(&format!("{owner}:")).unwrap_or(&new.head).to_owned();
    check(&state, &repository, &head, &new.base).await?;
    let pull = Pull {
        number: 0,
        title: new.title,
        body: new.body,
        head,
        base: new.base,
        draft: new.draft,
        open: true,
        author: token.login,
    };
    let pull = state.open_pull(&repository.full_name, pull).ok_or(ForgeError::NotFound)?;
    Ok((StatusCode::CREATED, Json(shown(&state, &repository, &pull).await)).into_response())
}

/// Checks what GitHub rejects with 422: a missing branch, no commits to merge, a second pull request for the branch.
async fn check(state: &State, repository: &Repository, head: &str, base: &str) -> Result<(), ForgeError> {
    let invalid = |field, message: Option<String>| ForgeError::Invalid {
        resource: "PullRequest",
        field,
        code: if message.is_some() { "custom" } else { "invalid" },
        message,
    };
    for (field, branch) in [("head", head), ("base", base)] {
        if commit_of(state, &repository.full_name, branch).await.is_none() {
            return Err(invalid(Some(field), None));
        }
    }
    let range = format!("refs/heads/{base}..refs/heads/{head}");
    let ahead = git(&state.path_of(&repository.full_name), &["rev-list", "--count", &range], Vec::new()).await;
    if ahead.is_ok_and(|count| count.trim() == "0") {
        return Err(invalid(None, Some(format!("No commits between {base} and {head}"))));
    }
    if repository.pulls.iter().any(|pull| pull.open && pull.head == head && pull.base == base) {
        let owner = repository.full_name.split('/').next().unwrap_or("");
        return Err(invalid(None, Some(format!("A pull request already exists for {owner}:{head}."))));
    }
    Ok(())
}

/// `GET /repos/OWNER/NAME/pulls/NUMBER`.
pub(super) async fn show(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let pull = repository.pulls.iter().find(|pull| pull.number == number).ok_or(ForgeError::NotFound)?;
    Ok(Json(shown(&state, &repository, pull).await))
}

/// `PATCH /repos/OWNER/NAME/pulls/NUMBER`. It does not change `draft`; only GraphQL can.
pub(super) async fn change(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    body: Bytes,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    if !token.may_write {
        return Err(ForgeError::Forbidden);
    }
    let changes: Changes = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let change = |pull: &mut Pull| {
        if let Some(title) = changes.title {
            pull.title = title;
        }
        if let Some(body) = changes.body {
            pull.body = body;
        }
        if let Some(state) = changes.state {
            pull.open = state == "open";
        }
    };
    let pull = state.change_pull(&repository.full_name, number, change).ok_or(ForgeError::NotFound)?;
    Ok(Json(shown(&state, &repository, &pull).await))
}

async fn shown(state: &State, repository: &Repository, pull: &Pull) -> Value {
    let commit = commit_of(state, &repository.full_name, &pull.head).await.unwrap_or_default();
    body::pull(state, repository, pull, &commit)
}
