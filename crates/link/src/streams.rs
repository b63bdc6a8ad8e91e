use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sandbox_link::files::{FILES_VERSION, MAX_STREAMS, Ticket};
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::files::FilesError;
use super::server::HANDSHAKE_TIMEOUT;
use super::stream::LinkStream;

/// The maximum number of connections that have not shown their ticket yet. A newer one replaces the oldest, so an agent
/// that connects and says nothing keeps nobody out: sandbox-init sends its ticket at once.
const MAX_SILENT: usize = 32;

/// The time until sandbox-init is asked again. The request is lost if the link's connection breaks just then.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The maximum time until a stream is open. A sandbox that has just been started connects within that time.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of tickets that wait for the link's connection.
pub(super) const WAITING_TICKETS: usize = MAX_STREAMS;

/// The streams of one sandbox that carry requests for files. sandbox-init opens them when it is asked.
#[derive(Debug)]
pub(super) struct Streams {
    expected: Mutex<HashMap<Ticket, oneshot::Sender<LinkStream>>>,
    silent: Mutex<VecDeque<CancellationToken>>,
    /// As many as sandbox-init has threads.
    places: Arc<Semaphore>,
    tickets: mpsc::Sender<Ticket>,
    connected: watch::Receiver<bool>,
    /// The version of the protocol that sandbox-init speaks; 0 before its first connection.
    version: AtomicU32,
}

/// A ticket that is valid while this exists.
struct Expected<'a> {
    streams: &'a Streams,
    ticket: Ticket,
}

impl Streams {
    pub(super) fn new(tickets: mpsc::Sender<Ticket>, connected: watch::Receiver<bool>) -> Self {
        Self {
            expected: Mutex::default(),
            silent: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_STREAMS)),
            tickets,
            connected,
            version: AtomicU32::new(0),
        }
    }

    /// Notes the version of sandbox-init before it counts as connected.
    pub(super) fn set_version(&self, version: u32) {
        self.version.store(version, Ordering::Release);
    }

    /// False for a sandbox-init of an earlier version. `None` before its first connection.
    pub(super) fn are_served(&self) -> Option<bool> {
        match self.version.load(Ordering::Acquire) {
            0 => None,
            version => Some(version >= FILES_VERSION),
        }
    }

    /// Opens a stream. Waits until sandbox-init is connected and has a thread for it.
    pub(super) async fn open(&self) -> Result<(LinkStream, OwnedSemaphorePermit), FilesError> {
        let opening = async {
            // The semaphore is never closed, so this does not fail.
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| FilesError::Closed)?;
            let mut connected = self.connected.clone();
            loop {
                connected.wait_for(|connected| *connected).await.map_err(|_| FilesError::Closed)?;
                if self.are_served() == Some(false) {
                    return Err(FilesError::Outdated);
                }
                let (sender, stream) = oneshot::channel();
                let expected = self.expect(sender);
                self.tickets.send(expected.ticket).await.map_err(|_| FilesError::Closed)?;
                if let Ok(Ok(stream)) = timeout(ASK_AGAIN, stream).await {
                    return Ok((stream, place));
                }
            }
        };
        timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(FilesError::NotOpened))
    }

    /// Serves a connection to `files.sock`: passes it to the request whose ticket it shows.
    pub(super) async fn arrived(&self, mut stream: LinkStream) {
        let replaced = CancellationToken::new();
        {
            let mut silent = lock(&self.silent);
            silent.push_back(replaced.clone());
            if silent.len() > MAX_SILENT
                && let Some(oldest) = silent.pop_front()
            {
                // This has no effect on one that has shown its ticket.
                oldest.cancel();
            }
        }
        let mut ticket = [0; 16];
        let shown = replaced.run_until_cancelled(timeout(HANDSHAKE_TIMEOUT, stream.read_exact(&mut ticket))).await;
        if !matches!(shown, Some(Ok(Ok(_)))) {
            return;
        }
        let waiting = lock(&self.expected).remove(&Ticket(ticket));
        if let Some(waiting) = waiting {
            // This fails only if nobody waits any more.
            let _ = waiting.send(stream);
        } else {
            tracing::debug!("a connection for files without a valid ticket was rejected");
        }
    }

    fn expect(&self, sender: oneshot::Sender<LinkStream>) -> Expected<'_> {
        let ticket = Ticket(rand::random());
        lock(&self.expected).insert(ticket, sender);
        Expected { streams: self, ticket }
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        lock(&self.streams.expected).remove(&self.ticket);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
