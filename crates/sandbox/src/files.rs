//! A session's workspace, read from outside: through the engine's archive calls, on a container that is never started.
//!
//! That container has the agent image and the workspace, read-only, and nothing else: no home, no link, no network. Whatever
//! links in the workspace lead to, there is nothing else to be reached. So it also works while no sandbox is there.

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
use super::names::{self, SandboxName};

pub use archive::{Archive, ArchiveError, Entry, EntryKind};

/// Each holds a container in the engine, and reads the disk as fast as it can.
const READERS: usize = 16;
const READERS_OF_A_SESSION: usize = 4;

/// Pieces of an archive on their way to a reader that is slow.
const PIECES: usize = 8;

/// How long an archive may be read, by the slowest reader.
const READ_TIMEOUT: Duration = Duration::from_mins(10);

/// Directories above a file: each costs a question to the engine.
pub const MAX_DEPTH: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("there is nothing at this path of the workspace")]
    NotFound,
    #[error("{0:?} is a symbolic link, which is not followed")]
    Symlink(String),
    #[error("{0:?} is neither a file nor a directory")]
    Special(String),
    #[error("too many read files at once; at most {READERS_OF_A_SESSION} of one session, {READERS} in all")]
    Busy,
    /// Or reset: the files are being wiped.
    #[error("the session's files were removed")]
    Removed,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Who reads which session's files, so that wiping them waits for nobody.
pub(super) struct Readers {
    sessions: DashMap<SessionKey, Arc<Gate>>,
    places: Arc<Semaphore>,
}

struct Gate {
    /// Held for reading while a container names the volume, for writing while it is removed.
    lock: Arc<RwLock<()>>,
    places: Arc<Semaphore>,
    closed: CancellationToken,
}

/// The right to have a container on a session's workspace.
struct Pass {
    _lock: OwnedRwLockReadGuard<()>,
    _places: [OwnedSemaphorePermit; 2],
    gate: Arc<Gate>,
}

/// Keeps readers out.
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
        // What nobody uses any more goes when the next one comes.
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

    /// Ends those who read, and keeps others out while the guard is held.
    pub(super) async fn close(&self, session: SessionKey) -> Closed {
        let gate = self.gate(session);
        gate.closed.cancel();
        let lock = Arc::clone(&gate.lock).write_owned().await;
        Closed { _lock: lock, _gate: gate }
    }
}

/// A container on a workspace. It is removed when this is dropped, and only then the pass is given back.
struct Reader {
    host: Arc<SandboxHost>,
    name: SandboxName,
    pass: Option<Pass>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (host, name, pass) = (Arc::clone(&self.host), self.name.clone(), self.pass.take());
        self.host.tracker.spawn(async move {
            // As a sandbox that has no link: what resists is found by the next sweep.
            if let Err(error) = host.take_down(&name).await {
                warn!(%error, "could not remove the container through which files were read");
            }
            drop(pass);
        });
    }
}

impl SandboxHost {
    /// The file or directory at `path`, parts of a path below the workspace, as an archive. It goes on while the files change.
    /// Nothing on the way may be a link.
    pub async fn read_files(self: &Arc<Self>, session: SessionKey, path: &[String]) -> Result<Archive, FilesError> {
        let pass = self.readers.enter(session).await?;
        let [workspace, _] = names::volumes(session);
        let volumes = self.engine.list_volumes(&self.instance.volume_labels(session)).await?;
        if !volumes.contains(&workspace.name) {
            // A container would make it, and the next sandbox would take it for one that has its template.
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
            // Here and not where the reader is, who may take nothing for long: files can be wiped at any time.
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                () = pump => {}
            }
            drop((found, reader));
        });
        Ok(Archive::new(archive))
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
            command: Vec::new(),
            environment: BTreeMap::new(),
            mounts: vec![Mount::ReadOnlyVolume { name: volume, target: domain::sandbox::WORKSPACE.to_owned() }],
            network: Network::None,
            limits: host.settings.limits,
            runtime: None,
        };
        let container: ContainerId = host.engine.create_container(&spec).await?;
        let mut place = domain::sandbox::WORKSPACE.to_owned();
        let mut parts = path.iter().peekable();
        while let Some(part) = parts.next() {
            place.push('/');
            place.push_str(part);
            let kind = match host.engine.path_kind(&container, &place).await {
                // It finds out where a link leads, and fails at one in a circle.
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
