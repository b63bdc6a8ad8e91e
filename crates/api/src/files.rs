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
use domain::session::{SessionId, SessionKey};
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use sandbox::{ArchiveError, Entry, EntryKind, FileBody, FilesError, MAX_DEPTH};
use serde::Deserialize;
use tokio::time::Instant;
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

/// The number of entries that a sandbox is asked for at a time. Each page reads all names of the directory.
const PAGE: u32 = 10_000;

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
    let ends = [api.shutdown.clone(), caller.revoked];
    if as_tar {
        let mut archive = match api.sandboxes.pack_files(record.key, &parts).await {
            // The session has not had a container yet.
            Err(FilesError::NotFound) if parts.is_empty() => return Ok(export::of_nothing(name)),
            found => found?,
        };
        let first = archive.next().await.map_err(not_packed)?.ok_or(FilesError::NotFound)?;
        return match first.kind {
            EntryKind::Directory | EntryKind::File => Ok(export::answer(archive, first, name, ends)),
            EntryKind::Symlink => Err(FilesError::Symlink(name.to_owned()).into()),
            EntryKind::HardLink | EntryKind::Other => Err(FilesError::Special(name.to_owned()).into()),
        };
    }
    match list(&api, record.key, &parts).await {
        Err(FilesError::File) => {
            let (entry, body) = api.sandboxes.read_file(record.key, &parts).await?;
            file(body, entry.size, name, is_set(query.inline.as_deref()), ends).await
        }
        Err(FilesError::NotFound) if parts.is_empty() => Ok(listing(&parts, Vec::new(), false)),
        listed => {
            let (entries, truncated) = listed?;
            Ok(listing(&parts, entries, truncated))
        }
    }
}

/// An archive fails before its first entry for the same reasons as a list.
fn not_packed(error: ArchiveError) -> ApiError {
    match error {
        ArchiveError::Files(error) => FilesError::from(error).into(),
        error => error.into(),
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

/// Lists a directory. The list is truncated at its bounds: its entries are correct but incomplete.
async fn list(api: &Api, session: SessionKey, parts: &[String]) -> Result<(Vec<FileEntry>, bool), FilesError> {
    let deadline = Instant::now() + LIST_TIMEOUT;
    let (mut entries, mut bytes, mut after) = (Vec::new(), 0, None);
    loop {
        let page = api.sandboxes.list_files(session, parts, after, PAGE).await?;
        after = page.entries.last().map(|entry| entry.name.clone());
        for entry in page.entries {
            let entry = view(&entry);
            bytes += super::view::text(&entry).len();
            if entries.len() == MAX_ENTRIES || bytes > MAX_LIST_BYTES {
                return Ok((entries, true));
            }
            entries.push(entry);
        }
        if page.truncated || Instant::now() >= deadline {
            return Ok((entries, true));
        }
        if !page.more || after.is_none() {
            return Ok((entries, page.more));
        }
    }
}

fn view(entry: &Entry) -> FileEntry {
    let kind = match EntryKind::from(entry.kind) {
        EntryKind::File | EntryKind::HardLink => FileType::File,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::Other => FileType::Other,
    };
    FileEntry {
        name: String::from_utf8_lossy(&entry.name).into_owned(),
        kind,
        size: entry.size,
        modified: Timestamp::from_second(entry.modified).map(Time).ok(),
        mode: format!("{:04o}", entry.mode),
        target: entry.target.as_ref().map(|target| String::from_utf8_lossy(target).into_owned()),
    }
}

fn listing(parts: &[String], entries: Vec<FileEntry>, truncated: bool) -> Response {
    (safe_headers(), Json(Listing { path: parts.join("/"), entries, truncated })).into_response()
}

async fn file(
    mut content: FileBody,
    size: u64,
    name: &str,
    inline: bool,
    ends: [CancellationToken; 2],
) -> Result<Response, ApiError> {
    let mut beginning = Vec::new();
    while beginning.len() < kind::SNIFFED
        && let Some(piece) = content.piece().await?
    {
        beginning.extend_from_slice(&piece);
    }
    let kind = kind::of(&beginning);
    let mut headers = safe_headers();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(CONTENT_DISPOSITION, kind::disposition(name, inline && kind.may_be_shown()));
    let rest = stream::unfold(Some(content), |content| async move {
        let mut content = content?;
        match content.piece().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(content))),
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
