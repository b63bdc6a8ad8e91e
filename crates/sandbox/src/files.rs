//! Reads a session's workspace through the link of a sandbox: the session's own one, or a reader, which is started for it.
//!
//! A reader has the agent image and the workspace, read-only, and nothing else: no home of the session, no agent, and no
//! network by default. It stays for a moment, for the next request. In either sandbox `sandbox-init` opens the files, as
//! the agent's user and without following links.

mod archive;
mod reader;
mod readers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::sandbox::WORKSPACE;
use domain::session::SessionKey;
use engine::EngineError;
use link::{FileContent, FilePlace, Link};
use sandbox_link::files::{Bounds, Failure, FailureKind, Page};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::readers::Pass;
use super::SandboxHost;

pub use archive::{ArchiveEntry, ArchiveError, EntryKind, WorkspaceArchive};
pub(super) use readers::{LinksOfSessions, Readers};
pub use sandbox_link::files::Entry;

/// Number of pieces that wait for a slow reader.
const PIECES: usize = 8;

/// The maximum time that a file or an archive may be read.
const READ_TIMEOUT: Duration = Duration::from_mins(10);

/// The maximum number of directories above a file.
pub const MAX_DEPTH: usize = 32;

/// The bounds of a list. It looks at the names of one directory.
const LIST: Bounds = Bounds { bytes: 0, entries: 10_000_000, depth: 0, time_ms: 10_000 };

/// The bounds of a file or an archive. A sparse file is larger than what a disk holds.
const READ: Bounds = Bounds { bytes: 64 << 30, entries: 1_000_000, depth: 256, time_ms: 10 * 60 * 1000 };

/// The reason why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("this path does not exist in the workspace")]
    NotFound,
    #[error("{0:?} is a symbolic link, which is not followed")]
    Symlink(String),
    #[error("{0:?} is neither a file nor a directory")]
    Special(String),
    #[error("it is a file")]
    File,
    #[error("the agent's user may not read it")]
    Denied,
    #[error("the files changed meanwhile")]
    Changed,
    #[error(
        "too many concurrent readers of files; the limit is {} per session and {} in total",
        readers::READERS_OF_A_SESSION,
        readers::READERS
    )]
    Busy,
    /// The session was deleted or reset: its files are being removed.
    #[error("the session's files were removed")]
    Removed,
    /// The sandbox for reading did not start.
    #[error("the sandbox in which files are read did not start: {0}")]
    NotStarted(String),
    #[error("could not read files in a sandbox")]
    Link(#[source] link::FilesError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The content of a file. It can be dropped at any time.
#[derive(Debug)]
pub struct FileBody {
    pieces: mpsc::Receiver<Result<Bytes, link::FilesError>>,
    left: u64,
}

impl SandboxHost {
    /// Lists a part of a directory, in the byte order of names: at most `limit` entries after the name `after`. `path`
    /// lists the components below the workspace.
    pub async fn list_files(
        self: &Arc<Self>,
        session: SessionKey,
        path: &[String],
        after: Option<Bytes>,
        limit: u32,
    ) -> Result<Page, FilesError> {
        let request = |link: Link| {
            let (place, after) = (place(path, LIST), after.clone());
            async move { link.list_files(&place, after, limit).await }
        };
        self.with_link(session, request).await.map(|(page, _pass)| page)
    }

    /// Opens a file.
    pub async fn read_file(
        self: &Arc<Self>,
        session: SessionKey,
        path: &[String],
    ) -> Result<(Entry, FileBody), FilesError> {
        let request = |link: Link| {
            let place = place(path, READ);
            async move { link.read_file(&place, 0, u64::MAX).await }
        };
        let ((entry, content), pass) = self.with_link(session, request).await?;
        let left = entry.size;
        Ok((entry, FileBody { pieces: self.pump(content, pass), left }))
    }

    /// Returns the file or directory at `path` as an archive. The archive continues while files change.
    pub async fn pack_files(
        self: &Arc<Self>,
        session: SessionKey,
        path: &[String],
    ) -> Result<WorkspaceArchive, FilesError> {
        let request = |link: Link| {
            let place = place(path, READ);
            async move { link.pack_files(&place).await }
        };
        let (content, pass) = self.with_link(session, request).await?;
        Ok(WorkspaceArchive::new(self.pump(content, pass)))
    }

    /// Makes a request through the session's own sandbox or, if there is none or it ends meanwhile, through a reader.
    async fn with_link<T, F: Future<Output = Result<T, link::FilesError>>>(
        self: &Arc<Self>,
        session: SessionKey,
        request: impl Fn(Link) -> F,
    ) -> Result<(T, Pass), FilesError> {
        let mut pass = self.readers.enter(session).await?;
        let closed = pass.closed();
        let answering = async {
            if let Some(link) = self.links_of_sessions.get(session) {
                match request(link).await {
                    Ok(answer) => return Ok((answer, pass)),
                    Err(error) if may_be_elsewhere(&error) => {}
                    Err(error) => return Err(of_link(error)),
                }
            }
            let reader = pass.reader(self, session).await?;
            match request(reader.link().clone()).await {
                Ok(answer) => {
                    pass.hold(reader);
                    Ok((answer, pass))
                }
                Err(error) => Err(of_link(error)),
            }
        };
        tokio::select! {
            biased;
            () = closed.cancelled() => Err(FilesError::Removed),
            answer = answering => answer,
        }
    }

    /// Forwards content. This task, not the caller, reacts to the removal of files: a caller may pause for any time.
    fn pump(&self, mut content: FileContent, pass: Pass) -> mpsc::Receiver<Result<Bytes, link::FilesError>> {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let closed = pass.closed();
        self.tracker.spawn(async move {
            let forwarding = async {
                while let Some(piece) = content.next().await.transpose() {
                    let is_last = piece.is_err();
                    if pieces.send(piece).await.is_err() || is_last {
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                _ = timeout(READ_TIMEOUT, forwarding) => {}
            }
            drop((content, pass));
        });
        receiver
    }
}

impl FileBody {
    /// Returns the next piece; `None` at the end of the file.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        if self.left == 0 {
            return Ok(None);
        }
        let piece = self.pieces.recv().await.ok_or(ArchiveError::Cut)??;
        self.left = self.left.saturating_sub(piece.len() as u64);
        Ok(Some(piece))
    }
}

fn place(path: &[String], bounds: Bounds) -> FilePlace {
    FilePlace { root: WORKSPACE.to_owned(), path: path.join("/").into_bytes(), bounds }
}

/// True if the sandbox serves no files, or ended, so that another one may have the answer.
fn may_be_elsewhere(error: &link::FilesError) -> bool {
    use link::FilesError as E;
    match error {
        E::Outdated | E::NotOpened | E::Closed | E::Broken(_) | E::Timeout => true,
        E::Failed(_) | E::TooLarge { .. } | E::Source(_) | E::Decode(_) | E::OutOfPlace => false,
    }
}

impl From<link::FilesError> for FilesError {
    fn from(error: link::FilesError) -> Self {
        of_link(error)
    }
}

fn of_link(error: link::FilesError) -> FilesError {
    let link::FilesError::Failed(Failure { kind, message }) = error else { return FilesError::Link(error) };
    match kind {
        FailureKind::NotFound => FilesError::NotFound,
        FailureKind::Symlink => FilesError::Symlink(message),
        FailureKind::Special => FilesError::Special(message),
        FailureKind::File => FilesError::File,
        FailureKind::Denied => FilesError::Denied,
        FailureKind::Changed => FilesError::Changed,
        FailureKind::Directory
        | FailureKind::Exists
        | FailureKind::NoSpace
        | FailureKind::TooLarge
        | FailureKind::TooSlow
        | FailureKind::Invalid
        | FailureKind::Other => FilesError::Link(link::FilesError::Failed(Failure { kind, message })),
    }
}
