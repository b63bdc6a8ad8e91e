//! Removes orphans, which are containers and sockets that no live session owns because of a fault, and lists volumes, so that those
//! without a session are found. It considers only objects with this installation's label.

use std::sync::atomic::Ordering;

use domain::session::SessionKey;
use engine::{EngineError, VolumeSummary};
use failpoint::failpoint;
use tracing::{info, warn};

use super::names::session_of_volume;
use super::{SandboxHost, SandboxName};

impl SandboxHost {
    /// Removes orphaned containers and sockets.
    pub async fn remove_orphans(&self) -> Result<(), EngineError> {
        let _alone = self.removing_orphans.lock().await;
        self.remove_orphans_now().await
    }

    /// The same as [`SandboxHost::remove_orphans`] if there may be some: before a launch, and after a launch that was
    /// dropped. An error is logged.
    pub async fn remove_suspected_orphans(&self) {
        let _alone = self.removing_orphans.lock().await;
        if self.orphans_suspected.load(Ordering::Relaxed)
            && let Err(error) = self.remove_orphans_now().await
        {
            warn!(%error, "could not look for orphans before a launch; an orphaned container may still exist");
        }
    }

    async fn remove_orphans_now(&self) -> Result<(), EngineError> {
        // Clear the flag first, so that the next call finds a new orphan.
        self.orphans_suspected.store(false, Ordering::Relaxed);
        let removed = self.remove_containers_and_links().await;
        if removed.is_err() {
            self.orphans_suspected.store(true, Ordering::Relaxed);
        }
        removed
    }

    async fn remove_containers_and_links(&self) -> Result<(), EngineError> {
        let (mut containers, mut links, mut failed) = (0, 0, None);
        let questions = self.engine.list_containers(&self.instance.question_labels()).await?;
        for container in self.engine.list_containers(&self.instance.labels()).await?.into_iter().chain(questions) {
            let sandbox = SandboxName::of_container(&container.name);
            if sandbox.is_none_or(|name| !self.alive.contains(&name.to_string())) {
                // A container that cannot be removed must not protect the others.
                match self.engine.remove_container(&container.id).await {
                    Ok(()) => {
                        containers += 1;
                        failpoint!("orphan.removed");
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        match self.links.names() {
            Ok(names) => {
                for name in names.iter().filter(|name| !self.alive.contains(name.as_str())) {
                    match self.links.remove(name) {
                        Ok(()) => links += 1,
                        Err(error) => warn!(link = name, %error, "could not remove an orphaned link directory"),
                    }
                }
            }
            Err(error) => warn!(%error, "could not list link directories"),
        }
        if containers + links > 0 {
            info!(containers, links, "removed orphans");
        }
        failed.map_or(Ok(()), Err)
    }

    /// The volumes of this installation, without those of warm sandboxes.
    pub async fn volumes(&self) -> Result<Vec<SessionVolume>, EngineError> {
        let volumes = self.engine.list_volumes(&self.instance.labels()).await?;
        let volumes = volumes.into_iter().filter_map(SessionVolume::of);
        Ok(volumes.filter(|volume| !self.owns(volume.session)).collect())
    }

    /// True if an earlier coordinator created the volume for a warm sandbox that no session took.
    pub fn was_warm(&self, volume: &SessionVolume) -> bool {
        self.links.is_marked(&volume.session.to_string())
    }

    /// Removes a volume that no session has.
    pub async fn remove_orphaned_volume(&self, name: &str) -> Result<(), EngineError> {
        self.engine.remove_volume(name).await
    }
}

/// A volume, and the session for which it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionVolume {
    pub name: String,
    pub session: SessionKey,
}

impl SessionVolume {
    /// `None` if the volume was not created for a session.
    pub fn of(volume: VolumeSummary) -> Option<Self> {
        let session = session_of_volume(&volume.labels)?;
        Some(SessionVolume { name: volume.name, session })
    }
}
