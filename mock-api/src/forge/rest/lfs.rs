//! Git LFS: the batch API, which says for each file whether it is there.

use axum::Json;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::forge::error::ForgeError;
use crate::forge::state::{Repository, State};

/// The end of its path, below a repository.
pub(super) const BATCH: &str = ".git/info/lfs/objects/batch";
/// The maximum size of a request.
const MAX_BODY_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Batch {
    operation: String,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: u64,
}

/// `POST /OWNER/NAME.git/info/lfs/objects/batch` `{"operation":"download","objects":[{"oid","size"}]}`.
pub(super) async fn batch(state: &State, repository: &Repository, body: Body) -> Result<Response, ForgeError> {
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| ForgeError::MalformedBody)?;
    let Batch { operation, objects } = serde_json::from_slice(&body).map_err(|_| ForgeError::MalformedBody)?;
    let url = format!("{}/{}.git/info/lfs/files", state.url(), repository.full_name);
    let objects = objects.into_iter().map(|Object { oid, size }| {
        let is_there = repository.lfs_files.contains(&oid);
        let mut object = json!({ "oid": oid, "size": size });
        match (operation.as_str(), is_there) {
            ("download", false) => object["error"] = json!({ "code": 404, "message": "Object does not exist" }),
            // An upload of a file that is there has no action.
            ("upload", true) => {}
            (operation, _) => object["actions"] = json!({ operation: { "href": format!("{url}/{oid}") } }),
        }
        object
    });
    let answer = json!({ "transfer": "basic", "objects": objects.collect::<Vec<Value>>() });
    Ok(([(header::CONTENT_TYPE, "application/vnd.git-lfs+json")], Json(answer)).into_response())
}
