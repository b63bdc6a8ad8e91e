//! Sandboxes: a container with its volumes and its link, and the agent process in it.

mod agent;
pub mod capacity;
mod files;
mod launch;
mod leftovers;
mod links;
mod names;
mod overview;
mod process;
mod program;
mod question;
mod self_test;
mod take_over;
mod warm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashSet;
use domain::session::{SandboxRecord, SessionKey};
use engine::{ContainerId, Engine, EngineError, Limits, Network};
use failpoint::failpoint;
use gateway::{Gateway, SandboxGateway};
use link::Link;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::task::TaskTracker;
use tracing::warn;

pub use agent::GATEWAY;
pub use files::{Archive, ArchiveError, Entry, EntryKind, FilesError, MAX_DEPTH};
pub use launch::{Assignment, LaunchError, LaunchOrder};
pub use links::Links;
pub use names::{Instance, SandboxName};
pub use overview::{Overview, SandboxUsage};
pub use process::belongs_in_log;
pub use process::{Process, ProcessEnd, ProcessOutput};
pub use program::Finished;
pub use question::Reply;
pub use warm::{Warm, WarmPool, WarmSettings};

/// What sandboxes are made of: the same for all of a coordinator.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    pub image: String,
    pub network: Network,
    pub limits: Limits,
    /// An OCI runtime other than the engine's default.
    pub runtime: Option<String>,
    /// What a session's files may take on the disk, in bytes.
    pub disk_bytes: u64,
    /// Without a coordinator for this long, the agent is ended.
    pub orphan_ttl: Duration,
}

/// Makes sandboxes and takes them down.
pub struct SandboxHost {
    engine: Arc<dyn Engine>,
    links: Links,
    gateway: Gateway,
    instance: Instance,
    settings: SandboxSettings,
    tracker: TaskTracker,
    /// SANDBOX_RUNTIME has passed its self-test.
    proven: OnceCell<()>,
    /// Names of the sandboxes that there are or are about to be: everything else with our label is a leftover.
    alive: DashSet<String>,
    /// Of warm sandboxes: keys of sessions that there are not yet.
    unclaimed: DashSet<SessionKey>,
    /// A container may be left that nobody owns. Looked for before the next one is made, not only when the next sweep is due:
    /// its agent may still be at work in the session's files.
    left: AtomicBool,
    measured: overview::Measured,
    /// Who reads files now.
    readers: files::Readers,
    /// One sweep at a time, so that who starts a sandbox waits for the one that is under way.
    sweeping: Mutex<()>,
}

/// A sandbox whose agent waits for messages.
pub struct Sandbox {
    pub name: SandboxName,
    pub container: ContainerId,
    pub link: Link,
    pub process: Process,
    pub gateway: Arc<SandboxGateway>,
    /// The conversation of before goes on.
    pub resumed: bool,
}

impl Sandbox {
    /// What another coordinator needs to take it over.
    pub fn record(&self) -> SandboxRecord {
        SandboxRecord {
            name: self.name.to_string(),
            container_id: self.container.to_string(),
            link_secret: self.link.secret().expose().into(),
            last_frame: self.process.last_frame(),
            progress: None,
        }
    }
}

impl Sandbox {
    /// Takes in what an agent says that nobody spoke to, until it ends. Safe to cancel.
    async fn rest(&mut self) -> ProcessEnd {
        loop {
            let end = match self.process.recv().await {
                ProcessOutput::Frames(frames) => {
                    let end = self.process.decode(frames, |_| {});
                    self.link.acknowledge(self.process.last_frame());
                    end
                }
                ProcessOutput::Ended(end) => Some(end),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }
}

impl SandboxHost {
    pub fn new(
        engine: Arc<dyn Engine>,
        links: Links,
        gateway: Gateway,
        instance: Instance,
        settings: SandboxSettings,
        tracker: TaskTracker,
    ) -> Self {
        SandboxHost {
            engine,
            links,
            gateway,
            instance,
            settings,
            tracker,
            proven: OnceCell::new(),
            alive: DashSet::new(),
            unclaimed: DashSet::new(),
            left: AtomicBool::new(true),
            measured: overview::Measured::default(),
            readers: files::Readers::default(),
            sweeping: Mutex::default(),
        }
    }

    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub fn settings(&self) -> &SandboxSettings {
        &self.settings
    }

    /// A sandbox of an earlier coordinator that a session will take over.
    pub fn keep(&self, sandbox: &SandboxRecord) {
        self.alive.insert(sandbox.name.clone());
    }

    /// Ends a sandbox: no container, no socket is left. The volumes stay. May be repeated.
    pub async fn take_down(&self, sandbox: &SandboxName) -> Result<(), EngineError> {
        // Removing kills; an agent of a sandbox that ends has nothing left to say.
        let removed = self.engine.remove_container(&ContainerId::new(sandbox.container())).await;
        failpoint!("container.removed");
        if let Err(error) = self.links.remove(sandbox.link()) {
            warn!(sandbox.name = %sandbox, %error, "could not remove the link's directory");
        }
        // What could not be removed is found by the next sweep.
        self.alive.remove(&sandbox.to_string());
        if removed.is_err() {
            self.left.store(true, Ordering::Relaxed);
        }
        removed
    }

    /// Wipes a session's files and memory. Its sandbox is gone before.
    pub async fn remove_volumes(&self, session: SessionKey) -> Result<(), EngineError> {
        let _nobody_reads = self.readers.close(session).await;
        for volume in names::volumes(session) {
            match self.engine.remove_volume(&volume.name).await {
                Err(EngineError::Conflict { .. }) => {
                    // A container that did not come up, and could not be removed then, still names it.
                    self.sweep_sandboxes().await?;
                    self.engine.remove_volume(&volume.name).await?;
                }
                removed => removed?,
            }
            failpoint!("volume.removed");
        }
        Ok(())
    }
}
