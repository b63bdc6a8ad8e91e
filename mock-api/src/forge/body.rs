//! Response bodies in GitHub's shapes.

use serde_json::{Value, json};

use super::state::{Pull, Repository, State, Token};

pub(super) fn user(token: &Token) -> Value {
    json!({ "login": token.login, "id": 1, "type": "User" })
}

pub(super) fn repository(state: &State, token: &Token, repository: &Repository) -> Value {
    let Repository { full_name, .. } = repository;
    let (owner, name) = full_name.split_once('/').unwrap_or(("", full_name));
    let url = state.url();
    json!({
        "id": repository.id,
        "node_id": format!("R_{}", repository.id),
        "name": name,
        "full_name": full_name,
        "owner": { "login": owner, "type": "Organization" },
        "private": repository.private,
        "archived": repository.archived,
        "disabled": false,
        "fork": false,
        "description": repository.description,
        "default_branch": repository.default_branch,
        "html_url": format!("{url}/{full_name}"),
        "clone_url": format!("{url}/{full_name}.git"),
        "url": format!("{url}/api/v3/repos/{full_name}"),
        "pushed_at": "2026-01-02T03:04:05Z",
        "permissions": { "admin": false, "push": token.may_write, "pull": true },
    })
}

pub(super) fn pull(state: &State, repository: &Repository, pull: &Pull, head_commit: &str) -> Value {
    let Repository { full_name, .. } = repository;
    let owner = full_name.split('/').next().unwrap_or("");
    let url = state.url();
    let side = |branch: &str, commit: &str| json!({ "ref": branch, "label": format!("{owner}:{branch}"), "sha": commit, "repo": { "full_name": full_name } });
    json!({
        "id": repository.id * 1000 + pull.number,
        "node_id": node_id(repository, pull),
        "number": pull.number,
        "state": if pull.open { "open" } else { "closed" },
        "draft": pull.draft,
        "title": pull.title,
        "body": pull.body,
        "merged": false,
        "user": { "login": pull.author },
        "html_url": format!("{url}/{full_name}/pull/{}", pull.number),
        "url": format!("{url}/api/v3/repos/{full_name}/pulls/{}", pull.number),
        "head": side(&pull.head, head_commit),
        "base": side(&pull.base, ""),
    })
}

/// The id of a pull request in GraphQL. [`parse_node_id`] parses it.
fn node_id(repository: &Repository, pull: &Pull) -> String {
    format!("PR_{}_{}", repository.id, pull.number)
}

/// Parses the repository's id and the pull request's number.
pub(super) fn parse_node_id(id: &str) -> Option<(u64, u64)> {
    let (repository, number) = id.strip_prefix("PR_")?.split_once('_')?;
    Some((repository.parse().ok()?, number.parse().ok()?))
}
