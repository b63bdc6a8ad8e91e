//! Removes orphans: containers, volumes and sockets that no live session owns because of a fault. It considers only
//! objects with this installation's label.

use std::sync::atomic::Ordering;

use domain::session::SessionKey;
use engine::EngineError;
use failpoint::failpoint;
use tracing::{info, warn};

use super::names::session_of_volume;
use super::{SandboxHost, SandboxName};

/// The numbers of removed orphans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub containers: usize,
    pub volumes: usize,
    pub links: usize,
}

impl SandboxHost {
    /// Removes orphaned containers and sockets.
    pub async fn sweep_sandboxes(&self) -> Result<Swept, EngineError> {
        let _alone = self.sweeping.lock().await;
        self.sweep().await
    }

    /// Removes orphans if there may be some: before a launch, and after a launch that was dropped.
    pub async fn sweep_what_is_left(&self) {
        let _alone = self.sweeping.lock().await;
        if self.left.load(Ordering::Relaxed)
            && let Err(error) = self.sweep().await
        {
            warn!(%error, "could not look for orphans before a launch; an orphaned container may still exist");
        }
    }

    async fn sweep(&self) -> Result<Swept, EngineError> {
        // Clear the flag first, so that a new orphan is found by the next call.
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
                // A container that cannot be removed must not protect the others.
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
                        Err(error) => warn!(link = name, %error, "could not remove an orphaned link directory"),
                    }
                }
            }
            Err(error) => warn!(%error, "could not list link directories"),
        }
        if swept != Swept::default() {
            info!(containers = swept.containers, links = swept.links, "removed orphans");
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(swept),
        }
    }

    /// The sessions that have volumes.
    pub async fn sessions_with_volumes(&self) -> Result<Vec<SessionKey>, EngineError> {
        let volumes = self.engine.list_volumes(&self.instance.labels()).await?;
        let mut sessions: Vec<SessionKey> = volumes.iter().filter_map(|name| session_of_volume(name)).collect();
        sessions.dedup();
        Ok(sessions)
    }
}
