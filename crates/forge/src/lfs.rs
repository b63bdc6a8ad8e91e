//! Git LFS at the forge: the check which files exist (the batch API of git-lfs, `docs/api/batch.md` in its repository).

use domain::repository::RepositoryName;
use http::{HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GitHub, GitHubError};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.git-lfs+json");
/// The number of files in one request. The forge accepts 1,000.
const BATCH: usize = 100;

/// A file that is kept in Git LFS, as its pointer in the repository names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LfsPointer {
    /// SHA-256 in hexadecimal digits.
    pub oid: String,
    pub size: u64,
}

#[derive(Deserialize)]
struct Answer {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Value,
}

impl GitHub {
    /// Returns a file that the forge does not have, if there is one. If Git LFS is off, the forge has none.
    pub async fn missing_lfs_file(
        &self,
        name: &RepositoryName,
        pointers: &[LfsPointer],
    ) -> Result<Option<LfsPointer>, GitHubError> {
        for pointers in pointers.chunks(BATCH) {
            let Some(present) = self.lfs_files(name, pointers).await? else { return Ok(pointers.first().cloned()) };
            if let Some(missing) = pointers.iter().find(|pointer| !present.contains(&pointer.oid)) {
                return Ok(Some(missing.clone()));
            }
        }
        Ok(None)
    }

    /// Returns the files that can be downloaded. `None`: there is no Git LFS.
    async fn lfs_files(
        &self,
        name: &RepositoryName,
        pointers: &[LfsPointer],
    ) -> Result<Option<Vec<String>>, GitHubError> {
        let wanted =
            json!({ "operation": "download", "transfers": ["basic"], "objects": pointers, "hash_algo": "sha256" });
        let headers = [(header::ACCEPT, MEDIA_TYPE), (header::CONTENT_TYPE, MEDIA_TYPE)].into_iter().collect();
        let body = Some(wanted.to_string().into());
        let mut response = match self.git(name, Method::POST, "/info/lfs/objects/batch", &headers, body).await {
            Ok(response) => response,
            Err(
                GitHubError::NotFound(_)
                | GitHubError::MissingRights(_)
                | GitHubError::Forbidden(_)
                | GitHubError::Invalid(_)
                | GitHubError::Unavailable { status: 400..=499 | 501, .. },
            ) => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = super::client::read(&mut response).await?;
        let Answer { objects } =
            serde_json::from_slice(&body).map_err(|error| GitHubError::Malformed(error.to_string()))?;
        let present = objects.into_iter().filter(|object| object.actions["download"]["href"].is_string());
        Ok(Some(present.map(|object| object.oid).collect()))
    }
}
