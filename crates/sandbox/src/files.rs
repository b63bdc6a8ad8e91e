//! Reads a session's workspace from outside, through the engine's archive calls on a container that is never started.
//!
//! That container has the agent image and the workspace, read-only, and nothing else: no home, no link, no network. A
//! symbolic link in the workspace can therefore lead to nothing else. Reading also works while the session has no
//! sandbox.

mod archive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use domain::session::SessionKey;
use engine::{ContainerId, ContainerSpec, EngineError, Mount, Network, PathKind};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::SandboxHost;
use super::names::SandboxName;

pub use archive::{ArchiveEntry, ArchiveError, EntryKind, WorkspaceArchive};

/// The maximum number of concurrent readers. Each holds a container in the engine and reads the disk at full speed.
const READERS: usize = 32;
const READERS_OF_A_SESSION: usize = 4;

/// Number of an archive's pieces that wait for a slow reader.
const PIECES: usize = 8;

/// The maximum time that an archive may be read.
const READ_TIMEOUT: Duration = Duration::from_mins(10);

/// The maximum number of directories above a file. Each costs a call to the engine.
pub const MAX_DEPTH: usize = 32;

/// The reason why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("this path does not exist in the workspace")]
    NotFound,
    #[error("{0:?} is a symbolic link, which is not followed")]
    Symlink(String),
    #[error("{0:?} is neither a file nor a directory")]
    Special(String),
    #[error(
        "too many concurrent readers of files; the limit is {READERS_OF_A_SESSION} per session and {READERS} in total"
    )]
    Busy,
    /// The session was deleted or reset: its files are being removed.
    #[error("the session's files were removed")]
    Removed,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The current readers by session, so that the removal of a session's files waits for no reader.
pub(super) struct Readers {
    sessions: DashMap<SessionKey, Arc<Gate>>,
    places: Arc<Semaphore>,
}

struct Gate {
    /// Locked for reading while a container mounts the volume, and for writing while the volume is removed.
    lock: Arc<RwLock<()>>,
    places: Arc<Semaphore>,
    closed: CancellationToken,
}

/// The right to a container on a session's workspace.
struct Pass {
    _lock: OwnedRwLockReadGuard<()>,
    _places: [OwnedSemaphorePermit; 2],
    gate: Arc<Gate>,
}

/// Keeps readers out while it exists.
pub(super) struct Closed {
    _lock: OwnedRwLockWriteGuard<()>,
    _gate: Arc<Gate>,
}

impl Default for Readers {
    fn default() -> Self {
        Readers { sessions: DashMap::new(), places: Arc::new(Semaphore::new(READERS)) }
    }
}

impl Readers {
    fn gate(&self, session: SessionKey) -> Arc<Gate> {
        // Remove unused gates.
        self.sessions.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = self.sessions.entry(session).or_insert_with(|| {
            Arc::new(Gate {
                lock: Arc::default(),
                places: Arc::new(Semaphore::new(READERS_OF_A_SESSION)),
                closed: CancellationToken::new(),
            })
        });
        Arc::clone(&gate)
    }

    async fn enter(&self, session: SessionKey) -> Result<Pass, FilesError> {
        let gate = self.gate(session);
        let all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| FilesError::Busy)?;
        let own = Arc::clone(&gate.places).try_acquire_owned().map_err(|_| FilesError::Busy)?;
        let lock = Arc::clone(&gate.lock).read_owned().await;
        if gate.closed.is_cancelled() {
            return Err(FilesError::Removed);
        }
        Ok(Pass { _lock: lock, _places: [all, own], gate })
    }

    /// Ends the current readers and keeps others out while the guard exists.
    pub(super) async fn close(&self, session: SessionKey) -> Closed {
        let gate = self.gate(session);
        gate.closed.cancel();
        let lock = Arc::clone(&gate.lock).write_owned().await;
        Closed { _lock: lock, _gate: gate }
    }
}

/// A container on a workspace. Dropping it removes the container and returns the pass afterwards.
struct Reader {
    host: Arc<SandboxHost>,
    name: SandboxName,
    pass: Option<Pass>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (host, name, pass) = (Arc::clone(&self.host), self.name.clone(), self.pass.take());
        self.host.tracker.spawn(async move {
            // It is removed like a sandbox without a link. If that fails, the next cleanup of orphans finds the
            // container.
            if let Err(error) = host.take_down(&name).await {
                warn!(%error, "could not remove the container through which files were read");
            }
            drop(pass);
        });
    }
}

impl SandboxHost {
    /// Returns the file or directory at `path` as an archive. `path` lists the components below the workspace; none of
    /// them may be a symbolic link. The archive continues while files change.
    pub async fn read_files(
        self: &Arc<Self>,
        session: SessionKey,
        path: &[String],
    ) -> Result<WorkspaceArchive, FilesError> {
        let pass = self.readers.enter(session).await?;
        let existing = self.engine.list_volumes(&self.instance.session_labels(session)).await?;
        let [workspace, _] = self.instance.volumes(session, &existing);
        if !existing.iter().any(|volume| volume.name == workspace.name) {
            // A container would create the volume, and the next sandbox would assume that it contains the template.
            return Err(FilesError::NotFound);
        }
        let closed = pass.gate.closed.clone();
        let reader = Reader { host: Arc::clone(self), name: SandboxName::generate(), pass: Some(pass) };
        let found = tokio::select! {
            biased;
            () = closed.cancelled() => return Err(FilesError::Removed),
            found = reader.open(workspace.name, path) => found?,
        };
        let (pieces, archive) = mpsc::channel(PIECES);
        self.tracker.spawn(async move {
            let deadline = Instant::now() + READ_TIMEOUT;
            let mut found = found;
            let pump = async {
                while let Ok(Some(piece)) = timeout_at(deadline, futures::StreamExt::next(&mut found)).await {
                    if !matches!(timeout_at(deadline, pieces.send(piece)).await, Ok(Ok(()))) {
                        return;
                    }
                }
            };
            // This task, not the reader, reacts to the removal of files: a reader may pause for any time.
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                () = pump => {}
            }
            drop((found, reader));
        });
        Ok(WorkspaceArchive::new(archive))
    }
}

impl Reader {
    async fn open(&self, volume: String, path: &[String]) -> Result<engine::TarStream, FilesError> {
        let host = &self.host;
        host.alive.insert(self.name.to_string());
        let spec = ContainerSpec {
            name: self.name.container(),
            image: host.settings.image.clone(),
            labels: host.instance.labels(),
            entry_point: None,
            command: Vec::new(),
            environment: BTreeMap::new(),
            mounts: vec![Mount::ReadOnlyVolume { name: volume, target: domain::sandbox::WORKSPACE.to_owned() }],
            network: Network::None,
            limits: host.settings.limits,
            runtime: None,
            shared_directory: None,
        };
        let container: ContainerId = host.engine.create_container(&spec).await?;
        let mut place = domain::sandbox::WORKSPACE.to_owned();
        let mut parts = path.iter().peekable();
        while let Some(part) = parts.next() {
            place.push('/');
            place.push_str(part);
            let kind = match host.engine.path_kind(&container, &place).await {
                // The engine resolves links, and fails for one in a cycle.
                Err(EngineError::Other { .. }) => Some(PathKind::Symlink),
                kind => kind?,
            };
            match kind {
                None => return Err(FilesError::NotFound),
                Some(PathKind::Symlink) => return Err(FilesError::Symlink(part.clone())),
                Some(PathKind::Other) => return Err(FilesError::Special(part.clone())),
                Some(PathKind::File) if parts.peek().is_some() => return Err(FilesError::NotFound),
                Some(PathKind::File | PathKind::Directory) => {}
            }
        }
        match host.engine.download(&container, &place).await {
            Err(EngineError::NotFound { .. }) => Err(FilesError::NotFound),
            found => Ok(found?),
        }
    }
}
