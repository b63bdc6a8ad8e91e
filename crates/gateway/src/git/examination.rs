//! Examines the objects of a push: pointers of Git LFS, and commits of submodules.
//!
//! A sandbox cannot upload files to Git LFS, so a push that adds the pointer of a file that the forge does not have is refused: the
//! branch would refer to a missing file. The pointers are read from the forge's objects instead of the agent's pack, because a push
//! can refer to objects of an earlier, refused push.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use domain::access::KeyId;
use forge::{GitHubError, LfsPointer};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::lfs::pointer;
use super::pack::{ObjectKind, PackError, SMALL_BLOB_BYTES, for_each_object};
use super::{RepositoryAccess, pkt, submodules};
use crate::answer::in_words;
use crate::key_shares::KeyShares;
use crate::sandbox::SandboxGateway;

/// The maximum size of the pack with all commits, all trees and the small blobs of a task.
const MAX_PACK_BYTES: usize = 32 << 20;
/// The number of pushes that are examined at once, of all sandboxes and of those of one key. Each holds its pack in memory.
const MAX_EXAMINATIONS: usize = 2;
const MAX_EXAMINATIONS_OF_KEY: usize = 1;
/// The time in which the forge has to send the pack.
const FETCH_TIMEOUT: Duration = Duration::from_mins(2);
/// The time that a push waits for others that are examined.
const WAIT_TIMEOUT: Duration = Duration::from_mins(5);
/// The number of pointers that the forge is asked for.
const MAX_POINTERS: usize = 10_000;

const REQUEST: HeaderValue = HeaderValue::from_static("application/x-git-upload-pack-request");
const RESULT: HeaderValue = HeaderValue::from_static("application/x-git-upload-pack-result");

/// The places in which pushes are examined.
pub(crate) struct Examinations {
    all: Arc<Semaphore>,
    keys: KeyShares,
}

impl Default for Examinations {
    fn default() -> Self {
        Examinations { all: Arc::new(Semaphore::new(MAX_EXAMINATIONS)), keys: KeyShares::new(MAX_EXAMINATIONS_OF_KEY) }
    }
}

/// A place of an examination, until it is dropped.
struct Place {
    _permits: [OwnedSemaphorePermit; 2],
}

impl Examinations {
    /// Waits for a place in the share of the key and in all. The order is always the same, so that no two pushes wait for each other.
    async fn place(&self, key: Option<KeyId>) -> Result<Place, AcquireError> {
        let key = self.keys.of(key).acquire_owned().await?;
        Ok(Place { _permits: [key, Arc::clone(&self.all).acquire_owned().await?] })
    }
}

/// Returns the reason why pushed commits may not become part of a branch. `None`: they may.
pub(super) async fn objection(
    access: &RepositoryAccess,
    sandbox: &SandboxGateway,
    commits: &[&str],
) -> Result<Option<String>, GitHubError> {
    // Each sandbox examines one push at a time.
    let places = async {
        let own = sandbox.examining.acquire().await?;
        Ok::<_, AcquireError>((own, sandbox.shared.examinations.place(sandbox.meter.key()).await?))
    };
    let places =
        timeout(WAIT_TIMEOUT, places).await.map_err(|_| late("other pushes are examined; push again later"))?;
    let Ok((_own, place)) = places else { return Ok(Some("the server stops".to_owned())) };
    let known = timeout(FETCH_TIMEOUT, known_to(access))
        .await
        .map_err(|_| late("the forge did not name the base in time"))??;
    let fetched = timeout(FETCH_TIMEOUT, fetch(access, commits, &known)).await;
    let fetched = fetched.map_err(|_| late("the forge did not send the objects in time"))??;
    let Some(bytes) = fetched else { return Ok(Some(in_words(&PackError::TooMuch))) };
    let id_bytes = commits.first().map_or(0, |commit| commit.len() / 2);
    let read = tokio::task::spawn_blocking(move || found_in(&bytes, id_bytes)).await;
    let Found { pointers, submodules } = match read.map_err(|error| GitHubError::Malformed(error.to_string()))? {
        Ok(found) => found,
        Err(error) => return Ok(Some(in_words(&error))),
    };
    // The pack is dropped, so other sandboxes need not wait for the forge.
    drop(place);
    if pointers.len() > MAX_POINTERS {
        return Ok(Some(in_words(&PackError::TooMuch)));
    }
    let missing = timeout(FETCH_TIMEOUT, access.github.missing_lfs_file(&access.name, &pointers)).await;
    let missing = missing.map_err(|_| late("the forge did not say in time which files of Git LFS it has"))??;
    if let Some(LfsPointer { oid, .. }) = missing {
        return Ok(Some(format!(
            "it adds a pointer of Git LFS to a file that the forge does not have, and Git LFS takes no uploads from here: \
             commit the file itself, or leave it out, and rewrite the commits that are not pushed yet with git commit --amend or git \
             rebase (oid sha256:{oid})"
        )));
    }
    let objection = timeout(FETCH_TIMEOUT, submodules::objection(access, submodules, &known)).await;
    objection.map_err(|_| late("the forge did not say in time which commits of submodules it has"))?
}

/// The objects of a push that refer to something elsewhere.
struct Found {
    pointers: Vec<LfsPointer>,
    /// The commits of submodules.
    submodules: BTreeSet<String>,
}

/// The commits that the forge had before the push: those from before the task, and the base's present one, which the task may have
/// merged.
async fn known_to(access: &RepositoryAccess) -> Result<Vec<String>, GitHubError> {
    let mut known = access.known.clone();
    known.extend(access.github.branch(&access.name, &access.base).await?.filter(|head| !access.known.contains(head)));
    Ok(known)
}

fn late(message: &str) -> GitHubError {
    GitHubError::Unavailable { status: 504, message: message.to_owned() }
}

/// Fetches the objects of the commits without the large blobs and without the objects from before the task. `None`: there are too
/// many.
async fn fetch(access: &RepositoryAccess, commits: &[&str], known: &[String]) -> Result<Option<Vec<u8>>, GitHubError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, REQUEST);
    headers.insert(ACCEPT, RESULT);
    let body = Some(request(commits, known).into());
    let mut response = access.github.git(&access.name, Method::POST, "/git-upload-pack", &headers, body).await?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| GitHubError::Unreachable(error.without_url()))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_PACK_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(bytes.into()))
}

/// Builds the request of git's protocol, version 0 (gitprotocol-pack). Only the operator's base is a `have`: an object that the
/// agent names may come from a refused push.
fn request(commits: &[&str], known: &[String]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        let format = if commit.len() == 64 { " object-format=sha256" } else { "" };
        let capabilities = if at == 0 { format!(" ofs-delta no-progress filter{format}") } else { String::new() };
        lines.extend(pkt::encode(format!("want {commit}{capabilities}\n").as_bytes()));
    }
    lines.extend(pkt::encode(format!("filter blob:limit={SMALL_BLOB_BYTES}\n").as_bytes()));
    lines.extend(b"0000");
    for commit in known {
        lines.extend(pkt::encode(format!("have {commit}\n").as_bytes()));
    }
    lines.extend(pkt::encode(b"done\n"));
    lines
}

/// Reads the answer, which has lines about common commits before the pack.
fn found_in(mut answer: &[u8], id_bytes: usize) -> Result<Found, PackError> {
    while !answer.starts_with(b"PACK") {
        let packet = pkt::packet(answer).map_err(|_| PackError::Malformed("it is not an answer of git"))?;
        let Some((_, length)) = packet else { return Err(PackError::Malformed("it is missing")) };
        answer = &answer[length..];
    }
    let (mut pointers, mut commits) = (Vec::new(), BTreeSet::new());
    for_each_object(answer, |kind, content| match kind {
        ObjectKind::Blob => pointers.extend(pointer(content)),
        ObjectKind::Tree => submodules::collect(content, id_bytes, &mut commits),
    })?;
    pointers.sort();
    pointers.dedup();
    Ok(Found { pointers, submodules: commits })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::{Examinations, request};

    #[test]
    fn one_key_does_not_keep_the_pushes_of_another_waiting() {
        let examinations = Examinations::default();
        let key = |name: &str| name.parse().ok();
        let place = |name| examinations.place(key(name)).now_or_never();
        let first = place("a").unwrap().unwrap();
        assert!(place("a").is_none(), "its share is used up");
        let _other = place("b").unwrap().unwrap();
        assert!(place("c").is_none(), "all places are used up");
        drop(first);
        place("a").unwrap().unwrap();
    }

    #[test]
    fn the_request_has_the_form_of_gits_protocol() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let request = String::from_utf8(request(&[&a, &b], std::slice::from_ref(&b))).unwrap();
        assert_eq!(
            request,
            format!(
                "004fwant {a} ofs-delta no-progress filter\n0032want {b}\n001bfilter blob:limit=1024\n00000032have {b}\n0009done\n"
            )
        );
    }
}
