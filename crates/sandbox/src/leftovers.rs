//! What no live session owns is removed: containers, volumes and sockets that a fault left behind. Only what carries this
//! installation's label is looked at.

use std::sync::atomic::Ordering;

use domain::session::SessionKey;
use engine::EngineError;
use failpoint::failpoint;
use tracing::{info, warn};

use super::names::session_of_volume;
use super::{SandboxHost, SandboxName};

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub containers: usize,
    pub volumes: usize,
    pub links: usize,
}

impl SandboxHost {
    /// Removes containers and sockets that no sandbox of ours has.
    pub async fn sweep_sandboxes(&self) -> Result<Swept, EngineError> {
        let _alone = self.sweeping.lock().await;
        self.sweep().await
    }

    /// Sweeps where a container may be left: before another one is made, and after one that nobody waited for.
    pub async fn sweep_what_is_left(&self) {
        let _alone = self.sweeping.lock().await;
        if self.left.load(Ordering::Relaxed)
            && let Err(error) = self.sweep().await
        {
            warn!(%error, "could not look for leftovers before a start; a container that nobody owns may still be there");
        }
    }

    async fn sweep(&self) -> Result<Swept, EngineError> {
        // Before looking: what is left from now on is for the next time.
        self.left.store(false, Ordering::Relaxed);
        let swept = self.sweep_now().await;
        if swept.is_err() {
            self.left.store(true, Ordering::Relaxed);
        }
        swept
    }

    async fn sweep_now(&self) -> Result<Swept, EngineError> {
        let mut swept = Swept::default();
        let mut failed = None;
        for container in self.engine.list_containers(&self.instance.labels()).await? {
            let sandbox = SandboxName::of_container(&container.name);
            if sandbox.is_none_or(|name| !self.alive.contains(&name.to_string())) {
                // One that resists must not keep the others.
                match self.engine.remove_container(&container.id).await {
                    Ok(()) => {
                        swept.containers += 1;
                        failpoint!("leftover.removed");
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        match self.links.names() {
            Ok(names) => {
                for name in names.iter().filter(|name| !self.alive.contains(name.as_str())) {
                    match self.links.remove(name) {
                        Ok(()) => swept.links += 1,
                        Err(error) => warn!(link = name, %error, "could not remove a left link directory"),
                    }
                }
            }
            Err(error) => warn!(%error, "could not list link directories"),
        }
        if swept != Swept::default() {
            info!(containers = swept.containers, links = swept.links, "removed what no session owns");
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(swept),
        }
    }

    /// The sessions whose volumes are there.
    pub async fn sessions_with_volumes(&self) -> Result<Vec<SessionKey>, EngineError> {
        let volumes = self.engine.list_volumes(&self.instance.labels()).await?;
        let mut sessions: Vec<SessionKey> = volumes.iter().filter_map(|name| session_of_volume(name)).collect();
        sessions.dedup();
        Ok(sessions)
    }
}
