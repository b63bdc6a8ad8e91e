//! `GET /session/:id/files[/PATH]`: a session's workspace. An agent wrote its content, so links are not followed, metadata is not
//! trusted, and a browser must not run any of it.

mod export;
mod kind;

use std::sync::Arc;
use std::time::Duration;

use api_types::files::{FileEntry, FileType, Listing};
use api_types::time::Time;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::session::SessionId;
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use sandbox::{ArchiveEntry, ArchiveError, EntryKind, FilesError, MAX_DEPTH, WorkspaceArchive};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::authorize::visible;
use super::events::is_set;
use super::extract::{Path, Query};
use super::{Api, ApiError};
use crate::access::Caller;

/// The maximum number of entries, more than a person reads.
const MAX_ENTRIES: usize = 10_000;

/// The size of a list's entries as JSON. A name has at most 255 bytes, but the target of a link may have 4,096.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Listing a directory reads everything below it, because the engine offers no cheaper way to list names.
const LIST_BYTES: u64 = 2 * 1024 * 1024 * 1024;
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// The bound of Linux.
const MAX_PATH_BYTES: usize = 4095;

#[derive(Deserialize)]
pub(super) struct FilesQuery {
    format: Option<String>,
    inline: Option<String>,
}

pub(super) async fn root(
    state: State<Api>,
    caller: Extension<Caller>,
    Path(id): Path<String>,
    query: Query<FilesQuery>,
) -> Result<Response, ApiError> {
    read(state, caller, &id, "", query).await
}

pub(super) async fn path(
    state: State<Api>,
    caller: Extension<Caller>,
    Path((id, path)): Path<(String, String)>,
    query: Query<FilesQuery>,
) -> Result<Response, ApiError> {
    read(state, caller, &id, &path, query).await
}

async fn read(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: &str,
    path: &str,
    Query(query): Query<FilesQuery>,
) -> Result<Response, ApiError> {
    let session = SessionId::existing(id).map_err(|_| ApiError::unknown_session(id))?;
    let session = visible(&caller, session)?;
    let as_tar = match query.format.as_deref() {
        None => false,
        Some("tar") => true,
        Some(_) => return Err(ApiError::invalid("format: it must be tar, or not be there")),
    };
    let parts = parts(path)?;
    let record = api.store.session(&session).await?.ok_or_else(|| ApiError::unknown_session(id))?;
    let name = parts.last().map_or("workspace", String::as_str);
    let mut archive = match api.sandboxes.read_files(record.key, &parts).await {
        // The session has not had a container yet.
        Err(FilesError::NotFound) if parts.is_empty() && as_tar => return Ok(export::of_nothing(name)),
        Err(FilesError::NotFound) if parts.is_empty() => return Ok(listing(&parts, Vec::new(), false)),
        found => found?,
    };
    let first = archive.next().await?.ok_or(FilesError::NotFound)?;
    let ends = [api.shutdown.clone(), caller.revoked];
    if as_tar {
        return Ok(export::answer(archive, first, name, ends));
    }
    match first.kind {
        EntryKind::Directory => Ok(list(&parts, archive, &first).await),
        EntryKind::File => file(archive, &first, name, is_set(query.inline.as_deref()), ends).await,
        // The entry became a link in the meantime.
        EntryKind::Symlink => Err(FilesError::Symlink(name.to_owned()).into()),
        EntryKind::HardLink | EntryKind::Other => Err(FilesError::Special(name.to_owned()).into()),
    }
}

/// Splits a path below the workspace into its parts, none of which has a special meaning.
fn parts(path: &str) -> Result<Vec<String>, ApiError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(ApiError::invalid(format!("path: it must have at most {MAX_PATH_BYTES} bytes")));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts.iter().any(|part| part.is_empty() || part == "." || part == ".." || part.contains('\0')) {
        return Err(ApiError::invalid("path: no part of it may be empty, `.` or `..`, or have a NUL in it"));
    }
    if parts.len() > MAX_DEPTH {
        return Err(ApiError::invalid(format!("path: it must have at most {MAX_DEPTH} parts")));
    }
    Ok(parts)
}

/// Lists the direct children of a directory. Its own entry is `first`.
async fn list(parts: &[String], mut archive: WorkspaceArchive, first: &ArchiveEntry) -> Response {
    let deadline = Instant::now() + LIST_TIMEOUT;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let prefix = first.path.strip_suffix(b"/").unwrap_or(&first.path);
    // The list is truncated if it ends before the archive, for whatever reason: its entries are correct but incomplete.
    let truncated = loop {
        let Ok(Ok(entry)) = timeout_at(deadline, archive.next()).await else { break true };
        let Some(entry) = entry else { break false };
        if let Some(name) = child(prefix, &entry.path) {
            if entries.len() == MAX_ENTRIES {
                break true;
            }
            let entry = view(name, &entry);
            bytes += super::view::text(&entry).len();
            if bytes > MAX_LIST_BYTES {
                break true;
            }
            entries.push(entry);
        }
        if archive.taken() > LIST_BYTES {
            break true;
        }
    };
    listing(parts, entries, truncated)
}

/// The name of an entry that lies directly in the directory `prefix`.
fn child<'a>(prefix: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix)?.strip_prefix(b"/")?;
    let name = rest.strip_suffix(b"/").unwrap_or(rest);
    (!name.is_empty() && !name.contains(&b'/')).then_some(name)
}

fn view(name: &[u8], entry: &ArchiveEntry) -> FileEntry {
    let kind = match entry.kind {
        // A hard link is another name of an earlier file. The archive does not repeat its size.
        EntryKind::File | EntryKind::HardLink => FileType::File,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::Other => FileType::Other,
    };
    let target = entry.target.as_ref().filter(|_| entry.kind == EntryKind::Symlink);
    FileEntry {
        name: String::from_utf8_lossy(name).into_owned(),
        kind,
        size: entry.size,
        modified: Timestamp::from_second(entry.modified).map(Time).ok(),
        mode: format!("{:04o}", entry.mode),
        target: target.map(|target| String::from_utf8_lossy(target).into_owned()),
    }
}

fn listing(parts: &[String], entries: Vec<FileEntry>, truncated: bool) -> Response {
    (safe_headers(), Json(Listing { path: parts.join("/"), entries, truncated })).into_response()
}

async fn file(
    mut archive: WorkspaceArchive,
    entry: &ArchiveEntry,
    name: &str,
    inline: bool,
    ends: [CancellationToken; 2],
) -> Result<Response, ApiError> {
    let mut beginning = Vec::new();
    while beginning.len() < kind::SNIFFED
        && let Some(piece) = archive.piece().await?
    {
        beginning.extend_from_slice(&piece);
    }
    let kind = kind::of(&beginning);
    let mut headers = safe_headers();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(entry.size));
    headers.insert(CONTENT_DISPOSITION, kind::disposition(name, inline && kind.may_be_shown()));
    let rest = stream::unfold(Some(archive), |archive| async move {
        let mut archive = archive?;
        match archive.piece().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(archive))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    let beginning = stream::iter([Ok::<Bytes, ArchiveError>(beginning.into())]);
    Ok((headers, body(futures::StreamExt::chain(beginning, rest), ends)).into_response())
}

/// A body that ends with the server or the caller's key. It is then cut instead of ended, so that the part does not look complete.
fn body(
    pieces: impl futures::Stream<Item = Result<Bytes, ArchiveError>> + Send + 'static,
    ends: [CancellationToken; 2],
) -> Body {
    let ends = Arc::new(ends);
    Body::from_stream(stream::unfold(Some((Box::pin(pieces), ends)), |state| async move {
        let (mut pieces, ends) = state?;
        let piece = tokio::select! {
            biased;
            () = ends[0].cancelled() => Some(Err(ArchiveError::Cut)),
            () = ends[1].cancelled() => Some(Err(ArchiveError::Cut)),
            piece = futures::StreamExt::next(&mut pieces) => piece,
        };
        match piece? {
            Ok(piece) => Some((Ok(piece), Some((pieces, ends)))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// The headers keep a browser from running the file. Every answer has `nosniff`.
fn safe_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers
}

#[cfg(test)]
mod tests;
