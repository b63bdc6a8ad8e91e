//! A workspace as an archive that is safe to unpack: files, directories, and links that stay within it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use sandbox::{ArchiveEntry, ArchiveError, EntryKind, WorkspaceArchive};
use tokio_util::sync::CancellationToken;

use super::{body, kind, safe_headers};

const BLOCK: u64 = 512;

/// Two blocks of zeros.
const END: [u8; 1024] = [0; 1024];

/// The maximum number of entries. A larger archive is cut, so that it does not look complete.
const MAX_ENTRIES: usize = 1_000_000;
const MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// The maximum depth. Deeper entries are omitted.
const MAX_DEPTH: usize = 256;

/// `first` is the entry of the directory or file itself.
pub(super) fn answer(
    archive: WorkspaceArchive,
    first: ArchiveEntry,
    name: &str,
    ends: [CancellationToken; 2],
) -> Response {
    let export = Export { archive, next: Some(first), content: 0, padding: 0, entries: 0, state: State::Entries };
    let pieces = stream::unfold(export, |mut export| async move {
        let piece = export.next().await?;
        if piece.is_err() {
            export.state = State::Done;
        }
        Some((piece, export))
    });
    (headers(name), body(pieces, ends)).into_response()
}

/// An archive without an entry.
pub(super) fn of_nothing(name: &str) -> Response {
    (headers(name), Bytes::from_static(&END)).into_response()
}

fn headers(name: &str) -> HeaderMap {
    let mut headers = safe_headers();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CONTENT_DISPOSITION, kind::disposition(&format!("{name}.tar"), false));
    headers
}

struct Export {
    archive: WorkspaceArchive,
    next: Option<ArchiveEntry>,
    /// Bytes left of the file that is being written.
    content: u64,
    padding: u64,
    entries: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Entries,
    Content,
    Done,
}

impl Export {
    async fn next(&mut self) -> Option<Result<Bytes, ArchiveError>> {
        match self.state {
            State::Done => return None,
            State::Content => match self.archive.piece().await {
                Ok(Some(piece)) => return Some(Ok(piece)),
                Ok(None) => {
                    self.state = State::Entries;
                    if self.padding > 0 {
                        return Some(Ok(vec![0; usize::try_from(self.padding).unwrap_or_default()].into()));
                    }
                }
                Err(error) => return Some(Err(error)),
            },
            State::Entries => {}
        }
        loop {
            let entry = match self.next.take() {
                Some(entry) => entry,
                None => match self.archive.next().await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => {
                        self.state = State::Done;
                        return Some(Ok(Bytes::from_static(&END)));
                    }
                    Err(error) => return Some(Err(error)),
                },
            };
            self.entries += 1;
            if self.entries > MAX_ENTRIES || self.archive.taken() > MAX_BYTES {
                return Some(Err(ArchiveError::Cut));
            }
            let Some(header) = header(&entry) else { continue };
            if entry.kind == EntryKind::File {
                self.content = entry.size;
                self.padding = entry.size.next_multiple_of(BLOCK) - entry.size;
                self.state = State::Content;
            }
            return Some(Ok(header));
        }
    }
}

/// Builds the header of an entry. Returns `None` for an omitted entry.
pub(super) fn header(entry: &ArchiveEntry) -> Option<Bytes> {
    let path = Path::new(OsStr::from_bytes(&entry.path));
    let depth = path.components().count();
    if depth == 0 || depth > MAX_DEPTH || !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(match entry.kind {
        EntryKind::File => tar::EntryType::Regular,
        EntryKind::Directory => tar::EntryType::Directory,
        EntryKind::Symlink => tar::EntryType::Symlink,
        EntryKind::HardLink | EntryKind::Other => return None,
    });
    // The mode contains only the permissions to read, write and execute, not for example set-user-id.
    header.set_mode(entry.mode & 0o777);
    header.set_uid(engine::AGENT_UID);
    header.set_gid(engine::AGENT_GID);
    header.set_mtime(u64::try_from(entry.modified).unwrap_or_default());
    header.set_size(entry.size);
    let mut builder = tar::Builder::new(Vec::new());
    let written = match &entry.target {
        Some(target) => {
            let target = Path::new(OsStr::from_bytes(target));
            if !stays_inside(depth, target) {
                return None;
            }
            builder.append_link(&mut header, path, target)
        }
        // The header alone; its content follows as it comes.
        None => builder.append_data(&mut header, path, std::io::empty()),
    };
    written.ok()?;
    Some(Bytes::copy_from_slice(builder.get_ref()))
}

/// Returns true if a link `depth` parts below the archive's root stays below the first part of its path.
fn stays_inside(depth: usize, target: &Path) -> bool {
    let mut ups = 0;
    let mut goes_down = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => goes_down = true,
            Component::CurDir => {}
            // A target may only go up first and then down: the parent of a directory that may be a link is unknown.
            Component::ParentDir if !goes_down && ups + 2 < depth => ups += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
