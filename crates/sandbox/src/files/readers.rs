//! The readers of each session's files, and the sandboxes in which they read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use domain::session::SessionKey;
use link::{Link, WeakLink};
use tokio::sync::{
    Mutex, Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::FilesError;
use super::reader::Reader;
use crate::SandboxHost;

/// The maximum number of concurrent readers. Each reads the disk at full speed.
pub(super) const READERS: usize = 32;
pub(super) const READERS_OF_A_SESSION: usize = 4;

/// The maximum time that a reader waits for the place of a container.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(10);

/// The links of the sandboxes that sessions have. A link that was closed counts as none.
#[derive(Default)]
pub(crate) struct LinksOfSessions {
    links: DashMap<SessionKey, WeakLink>,
}

/// The current readers by session, so that the removal of a session's files waits for no reader.
pub(crate) struct Readers {
    sessions: DashMap<SessionKey, Arc<Gate>>,
    places: Arc<Semaphore>,
    /// As many containers as readers. Without a bound, a caller that reads many sessions would hold one for each.
    containers: Arc<Semaphore>,
    /// A reader waits for the place of a container.
    pressed: Arc<Notify>,
}

struct Gate {
    /// Locked for reading while a container of a reader mounts the volume, and for writing while the volume is removed.
    lock: Arc<RwLock<()>>,
    places: Arc<Semaphore>,
    closed: CancellationToken,
    /// The reader that stays for the next request.
    reader: Mutex<Option<Arc<Reader>>>,
}

/// The right to read a session's workspace.
pub(super) struct Pass {
    lock: Option<OwnedRwLockReadGuard<()>>,
    _places: [OwnedSemaphorePermit; 2],
    gate: Arc<Gate>,
    /// The sandbox in which the files are read, if it is not the session's own.
    reader: Option<Arc<Reader>>,
}

/// Keeps readers out while it exists.
pub(crate) struct Closed {
    _lock: OwnedRwLockWriteGuard<()>,
    _gate: Arc<Gate>,
}

impl LinksOfSessions {
    /// Notes the link of the sandbox that a session has from now on.
    pub(crate) fn set(&self, session: SessionKey, link: &Link) {
        // Remove those of sandboxes that have ended.
        self.links.retain(|_, link| link.upgrade().is_some());
        self.links.insert(session, link.downgrade());
    }

    /// Returns the link of the session's sandbox if it serves files.
    pub(super) fn get(&self, session: SessionKey) -> Option<Link> {
        let link = self.links.get(&session)?.upgrade()?;
        (*link.connected().borrow() && link.serves_files() == Some(true)).then_some(link)
    }
}

impl Default for Readers {
    fn default() -> Self {
        Readers {
            sessions: DashMap::new(),
            places: Arc::new(Semaphore::new(READERS)),
            containers: Arc::new(Semaphore::new(READERS)),
            pressed: Arc::default(),
        }
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
                reader: Mutex::default(),
            })
        });
        Arc::clone(&gate)
    }

    /// Waits for the place of a container. Those that nobody uses at the moment make room.
    async fn container(&self) -> Result<OwnedSemaphorePermit, FilesError> {
        if let Ok(place) = Arc::clone(&self.containers).try_acquire_owned() {
            return Ok(place);
        }
        self.pressed.notify_waiters();
        let place = timeout(CONTAINER_TIMEOUT, Arc::clone(&self.containers).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(FilesError::Busy)
    }

    pub(super) async fn enter(&self, session: SessionKey) -> Result<Pass, FilesError> {
        let gate = self.gate(session);
        let all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| FilesError::Busy)?;
        let own = Arc::clone(&gate.places).try_acquire_owned().map_err(|_| FilesError::Busy)?;
        let lock = Arc::clone(&gate.lock).read_owned().await;
        if gate.closed.is_cancelled() {
            return Err(FilesError::Removed);
        }
        Ok(Pass { lock: Some(lock), _places: [all, own], gate, reader: None })
    }

    /// Ends the current readers and keeps others out while the guard exists.
    pub(crate) async fn close(&self, session: SessionKey) -> Closed {
        let gate = self.gate(session);
        gate.closed.cancel();
        let lock = Arc::clone(&gate.lock).write_owned().await;
        Closed { _lock: lock, _gate: gate }
    }
}

impl Pass {
    /// Cancelled when the session's files are about to be removed.
    pub(super) fn closed(&self) -> CancellationToken {
        self.gate.closed.clone()
    }

    /// Keeps the reader while this exists.
    pub(super) fn hold(&mut self, reader: Arc<Reader>) {
        self.reader = Some(reader);
    }

    /// Returns the reader that is there, or starts one.
    pub(super) async fn reader(
        &mut self,
        host: &Arc<SandboxHost>,
        session: SessionKey,
    ) -> Result<Arc<Reader>, FilesError> {
        let mut kept = self.gate.reader.lock().await;
        if let Some(reader) = kept.as_ref().filter(|reader| reader.is_usable()) {
            reader.touch();
            return Ok(Arc::clone(reader));
        }
        // The container holds the lock until it is removed.
        let lock = match self.lock.take() {
            Some(lock) => lock,
            None => Arc::clone(&self.gate.lock).read_owned().await,
        };
        let place = host.readers.container().await?;
        let reader = Arc::new(Reader::start(host, session, lock, place).await?);
        *kept = Some(Arc::clone(&reader));
        drop(kept);
        let pressed = Arc::clone(&host.readers.pressed);
        host.tracker.spawn(retire(Arc::clone(&self.gate), Arc::downgrade(&reader), host.settings.files_idle, pressed));
        Ok(reader)
    }
}

/// Removes a reader that nobody has used for a while, when others need its place, when the files are about to be removed, and when its link ends,
/// which it also does when the server ends.
async fn retire(gate: Arc<Gate>, reader: Weak<Reader>, idle: Duration, pressed: Arc<Notify>) {
    loop {
        let Some((left, mut connected)) = reader.upgrade().map(|reader| (reader.left(idle), reader.link().connected()))
        else {
            return;
        };
        tokio::select! {
            biased;
            () = gate.closed.cancelled() => break,
            _ = connected.wait_for(|connected| !*connected) => break,
            () = pressed.notified() => break,
            () = sleep(left) => {}
        }
        if reader.upgrade().is_none_or(|reader| reader.left(idle).is_zero()) {
            break;
        }
    }
    let mut kept = gate.reader.lock().await;
    if kept.as_ref().is_some_and(|kept| std::ptr::eq(Arc::as_ptr(kept), reader.as_ptr())) {
        // The container is removed when its last request has ended.
        *kept = None;
    }
}
