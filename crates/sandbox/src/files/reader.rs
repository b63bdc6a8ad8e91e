//! A sandbox in which the files of a session are read that has no sandbox of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::sandbox::WORKSPACE;
use domain::session::SessionKey;
use engine::Mount;
use link::{Link, LinkOutput};
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::FilesError;
use crate::probe::BareContainer;
use crate::{LaunchError, SandboxHost, SandboxName};

/// The maximum time until a reader has connected. A loaded machine needs seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of the container's log in an error, in bytes.
const LOG_BYTES: usize = 300;

/// A started sandbox with a workspace. Dropping it removes its container.
pub(super) struct Reader {
    link: Link,
    /// The link ends without a consumer of its output, although no program runs.
    _output: LinkOutput,
    used: Mutex<Instant>,
    _container: Container,
}

/// Removes the container when it is dropped, and unlocks the files afterwards.
struct Container {
    host: Arc<SandboxHost>,
    name: SandboxName,
    /// The key of the home that only this container has.
    home: SessionKey,
    lock: Option<OwnedRwLockReadGuard<()>>,
    place: Option<OwnedSemaphorePermit>,
}

impl Reader {
    pub(super) async fn start(
        host: &Arc<SandboxHost>,
        session: SessionKey,
        lock: OwnedRwLockReadGuard<()>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, FilesError> {
        let existing = host.engine.list_volumes(&host.instance.session_labels(session)).await?;
        let [workspace, _] = host.instance.volumes(session, &existing);
        if !existing.iter().any(|volume| volume.name == workspace.name) {
            // A container would create the volume, and the next sandbox would assume that it contains the template.
            return Err(FilesError::NotFound);
        }
        let (name, home) = (host.new_name(), SessionKey::generate());
        // From here on a dropped request leaves a container.
        let container =
            Container { host: Arc::clone(host), name: name.clone(), home, lock: Some(lock), place: Some(place) };
        let wanted = BareContainer {
            labels: host.instance.labels(),
            mount: Some(Mount::ReadOnlyVolume { name: workspace.name, target: WORKSPACE.to_owned() }),
            connect_timeout: START_TIMEOUT,
        };
        let (id, attached) = host.start_bare(&name, home, wanted).await.map_err(not_started)?;
        let mut connected = attached.link.connected();
        let mut exit = host.watch(&id);
        let outcome = tokio::select! {
            connected = timeout(START_TIMEOUT, connected.wait_for(|connected| *connected)) => {
                matches!(connected, Ok(Ok(_)))
            }
            _ = &mut exit => false,
        };
        if !outcome {
            let log = host.engine.logs(&id, LOG_BYTES).await.unwrap_or_default();
            return Err(FilesError::NotStarted(log.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        Ok(Reader {
            link: attached.link,
            _output: attached.output,
            used: Mutex::new(Instant::now()),
            _container: container,
        })
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// False if its container or its link has ended.
    pub(super) fn is_usable(&self) -> bool {
        *self.link.connected().borrow()
    }

    /// Notes that it is used now.
    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The time that it still stays for the next request.
    pub(super) fn left(&self, idle: Duration) -> Duration {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        (used + idle).saturating_duration_since(Instant::now())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let (host, name, home) = (Arc::clone(&self.host), self.name.clone(), self.home);
        let held = (self.lock.take(), self.place.take());
        self.host.tracker.spawn(async move {
            // If this fails, the next cleanup of orphans finds the container.
            if let Err(error) = host.take_down(&name).await {
                warn!(%error, "could not remove the container in which files were read");
            }
            host.remove_bare_home(home).await;
            drop(held);
        });
    }
}

fn not_started(error: LaunchError) -> FilesError {
    match error {
        LaunchError::Engine(error) => FilesError::Engine(error),
        error => FilesError::NotStarted(domain::error_chain(&error)),
    }
}
