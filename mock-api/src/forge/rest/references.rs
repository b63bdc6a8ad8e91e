//! Refs, commits, trees, and the content of a directory at a commit.

use std::sync::Arc;

use axum::extract::{Path, Query, State as AppState};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::forge::error::ForgeError;
use crate::forge::repository::git;
use crate::forge::state::{Repository, State, Token};

#[derive(Deserialize)]
pub(super) struct At {
    #[serde(rename = "ref")]
    reference: String,
}

/// `GET /repos/OWNER/NAME/contents/DIRECTORY?ref=COMMIT`.
pub(super) async fn directory(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, path)): Path<(String, String, String)>,
    Query(At { reference }): Query<At>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let tree = format!("{reference}:{path}");
    let listed = run(&state, &repository, &["ls-tree", &tree]).await.map_err(|_| ForgeError::NotFound)?;
    let entry = |entry: TreeEntry<'_>| {
        let TreeEntry { kind, object, name, .. } = entry;
        let kind = if kind == "tree" { "dir" } else { "file" };
        json!({ "name": name, "path": format!("{path}/{name}"), "type": kind, "sha": object })
    };
    Ok(Json(listed.lines().filter_map(TreeEntry::parse).take(MAX_LISTED).map(entry).collect()))
}

/// The contents API lists so many entries of a directory, and does not say that there are more.
const MAX_LISTED: usize = 1000;

/// A line of `git ls-tree`.
struct TreeEntry<'a> {
    mode: &'a str,
    kind: &'a str,
    object: &'a str,
    name: &'a str,
}

impl<'a> TreeEntry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, name) = line.split_once('\t')?;
        let mut head = head.split(' ');
        Some(TreeEntry { mode: head.next()?, kind: head.next()?, object: head.next()?, name })
    }
}

/// `GET /repos/OWNER/NAME/git/commits/COMMIT`.
pub(super) async fn commit(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, commit)): Path<(String, String, String)>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let tree = run(&state, &repository, &["rev-parse", "--verify", "--quiet", &format!("{commit}^{{tree}}")]).await?;
    Ok(Json(json!({ "sha": commit, "tree": { "sha": tree.trim() } })))
}

#[derive(Deserialize)]
pub(super) struct Depth {
    recursive: Option<String>,
}

/// `GET /repos/OWNER/NAME/git/trees/TREE`, one level, or all with `?recursive=1`.
pub(super) async fn tree(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, tree)): Path<(String, String, String)>,
    Query(Depth { recursive }): Query<Depth>,
) -> Result<Json<Value>, ForgeError> {
    let repository = state.find(&token, &format!("{owner}/{name}")).ok_or(ForgeError::NotFound)?;
    let listing: &[&str] = if recursive.is_some() { &["ls-tree", "-r", "-t", &tree] } else { &["ls-tree", &tree] };
    let listed = run(&state, &repository, listing).await?;
    let most = state.tree_limit();
    let entry = |entry: TreeEntry<'_>| {
        let TreeEntry { mode, kind, object, name } = entry;
        json!({ "path": name, "mode": mode, "type": kind, "sha": object })
    };
    let entries: Vec<Value> = listed.lines().filter_map(TreeEntry::parse).take(most).map(entry).collect();
    Ok(Json(json!({ "sha": tree, "tree": entries, "truncated": listed.lines().count() > most })))
}

#[derive(Deserialize)]
struct NewReference {
    #[serde(rename = "ref")]
    reference: String,
    sha: String,
}

#[derive(Deserialize)]
struct Change {
    sha: String,
    #[serde(default)]
    force: bool,
}

/// `POST /repos/OWNER/NAME/git/refs` `{"ref":"refs/heads/…","sha"}`.
pub(super) async fn create(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, ForgeError> {
    let repository = writable(&state, &token, &format!("{owner}/{name}"))?;
    let NewReference { reference, sha } = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    if run(&state, &repository, &["rev-parse", "--verify", "--quiet", &reference]).await.is_ok() {
        return Err(invalid("Reference already exists"));
    }
    move_to(&state, &repository, &reference, &sha).await?;
    Ok((StatusCode::CREATED, shown(&reference, &sha)).into_response())
}

/// `PATCH /repos/OWNER/NAME/git/refs/heads/…` `{"sha","force"}`.
pub(super) async fn change(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<Json<Value>, ForgeError> {
    let repository = writable(&state, &token, &format!("{owner}/{name}"))?;
    let Change { sha, force } = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let reference = format!("refs/{reference}");
    if run(&state, &repository, &["rev-parse", "--verify", "--quiet", &reference]).await.is_err() {
        return Err(invalid("Reference does not exist"));
    }
    let is_forward = run(&state, &repository, &["merge-base", "--is-ancestor", &reference, &sha]).await.is_ok();
    if !force && !is_forward {
        return Err(invalid("Update is not a fast forward"));
    }
    move_to(&state, &repository, &reference, &sha).await?;
    Ok(shown(&reference, &sha))
}

/// `DELETE /repos/OWNER/NAME/git/refs/…`.
pub(super) async fn delete(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    Path((owner, name, reference)): Path<(String, String, String)>,
) -> Result<StatusCode, ForgeError> {
    let repository = writable(&state, &token, &format!("{owner}/{name}"))?;
    let reference = format!("refs/{reference}");
    if run(&state, &repository, &["rev-parse", "--verify", "--quiet", &reference]).await.is_err() {
        return Err(invalid("Reference does not exist"));
    }
    run(&state, &repository, &["update-ref", "-d", &reference]).await.map_err(|_| invalid("Reference is locked"))?;
    Ok(StatusCode::NO_CONTENT)
}

fn writable(state: &State, token: &Token, full_name: &str) -> Result<Repository, ForgeError> {
    let repository = state.find(token, full_name).ok_or(ForgeError::NotFound)?;
    if !token.may_write {
        return Err(ForgeError::Forbidden);
    }
    if repository.archived { Err(ForgeError::Archived) } else { Ok(repository) }
}

async fn move_to(state: &State, repository: &Repository, reference: &str, sha: &str) -> Result<(), ForgeError> {
    let moved = run(state, repository, &["update-ref", reference, sha]).await;
    moved.map(drop).map_err(|_| invalid("Object does not exist"))
}

async fn run(state: &State, repository: &Repository, arguments: &[&str]) -> Result<String, ForgeError> {
    let path = state.path_of(&repository.full_name);
    git(&path, arguments, Vec::new()).await.map_err(|_| ForgeError::NotFound)
}

fn invalid(message: &str) -> ForgeError {
    ForgeError::Invalid { resource: "Reference", field: None, code: "custom", message: Some(message.to_owned()) }
}

fn shown(reference: &str, sha: &str) -> Json<Value> {
    Json(json!({ "ref": reference, "object": { "type": "commit", "sha": sha } }))
}
