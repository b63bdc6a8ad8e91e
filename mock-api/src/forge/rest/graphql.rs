//! The operation that only GraphQL has: marking a draft as ready for review.

use std::sync::Arc;

use axum::extract::State as AppState;
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::forge::body::parse_node_id;
use crate::forge::error::ForgeError;
use crate::forge::state::{State, Token};

#[derive(Deserialize)]
struct Query {
    query: String,
    #[serde(default)]
    variables: Value,
}

/// `POST /api/graphql` with `markPullRequestReadyForReview` or `convertPullRequestToDraft` and the id in a variable.
/// Errors are answered with 200 and `errors`, as GitHub does.
pub(super) async fn query(
    AppState(state): AppState<Arc<State>>,
    Extension(token): Extension<Token>,
    body: Bytes,
) -> Result<Json<Value>, ForgeError> {
    let Query { query, variables } = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let mutation =
        ["markPullRequestReadyForReview", "convertPullRequestToDraft"].into_iter().find(|name| query.contains(name));
    let Some(mutation) = mutation else {
        return Ok(Json(json!({ "errors": [{ "message": "this mutation is not here", "type": "UNDEFINED" }] })));
    };
    let draft = mutation == "convertPullRequestToDraft";
    let ids = variables.as_object().into_iter().flat_map(|object| object.values()).filter_map(Value::as_str);
    let pull = ids.filter_map(parse_node_id).find_map(|(repository, number)| {
        let found = state.visible(&token).into_iter().find(|found| found.id == repository)?;
        state.change_pull(&found.full_name, number, |pull| pull.draft = draft)
    });
    Ok(Json(match pull {
        Some(pull) => {
            json!({ "data": { mutation: { "pullRequest": { "isDraft": pull.draft, "number": pull.number } } } })
        }
        None => json!({
            "data": { mutation: null },
            "errors": [{ "type": "NOT_FOUND", "message": "Could not resolve to a node with the global id given." }],
        }),
    }))
}
