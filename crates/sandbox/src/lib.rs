//! Sandboxes. A sandbox is a container with its volumes and its link, and the agent process in it.
//!
//! | module | contains |
//! |---|---|
//! | `launch`, `start` | creates a sandbox; starts its agent |
//! | `unpack` | archives that enter a sandbox through its link |
//! | `reattach` | reattaches to a sandbox after a restart |
//! | `repair` | repairs a damaged home of an agent |
//! | `process`, `question`, `program` | the agent's output; one question to an agent; other programs |
//! | [`capacity`] | the limits on the number of sandboxes, and the queue |
//! | `warm` | the pool of warm sandboxes |
//! | `images` | the images of sandboxes, and the version of Claude Code in them |
//! | `files` | reading a session's workspace from outside |
//! | `instance_lock`, `lease` | keep a second server of the same installation away, on this machine and on the engine |
//! | `links`, `names`, `agent` | the link's way into a container; names and labels; the CLI's arguments and environment |
//! | `overview` | the measured resource usage |
//! | `probe`, `limits`, `launch_record` | the sandbox without an agent that is started first; the limits that it shows; whether launches work |
//! | `self_test` | the proof that an OCI runtime works |
//! | `orphans` | the removal of orphans |
//!
//! Invariants:
//! - A failed launch leaves nothing behind. A container that could not be removed is an orphan and is removed before
//!   the next launch.
//! - Objects of other installations on the same engine are never touched: all objects have this installation's label.
//! - A volume is removed only because its session ends or because an operator decides so, never because no session has it.
//! - No secret is in a container's specification. The credential stays with the gateway, outside.

mod agent;
pub mod capacity;
mod files;
mod images;
mod instance_lock;
mod launch;
mod launch_record;
mod lease;
mod limits;
mod links;
mod names;
mod orphans;
mod overview;
mod probe;
mod process;
mod program;
mod question;
mod reattach;
mod repair;
mod self_test;
mod start;
mod unpack;
mod warm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent_image::WantedVersion;
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
pub use files::{ArchiveEntry, ArchiveError, Entry, EntryKind, FileBody, FilesError, MAX_DEPTH, WorkspaceArchive};
pub use images::SandboxImage;
pub use instance_lock::{InstanceLock, InstanceLockError, MachineLock};
pub use launch::{Assignment, LaunchError, LaunchOrder};
pub use launch_record::LaunchHealth;
pub use lease::{EngineLease, EnginePlace, LeaseHeld, LeaseHolder};
pub use limits::{LimitReport, Resource, ResourceSet};
pub use links::Links;
pub use names::{Instance, SandboxName};
pub use orphans::SessionVolume;
pub use overview::{Overview, SandboxUsage};
pub use probe::{LimitProof, connection_advice};
pub use process::belongs_in_log;
pub use process::{Process, ProcessEnd, ProcessOutput};
pub use program::Finished;
pub use question::Reply;
pub use warm::{Warm, WarmPool, WarmSettings};

/// The parameters that all sandboxes of a coordinator share.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    pub image: String,
    /// The version of Claude Code that the image should have.
    pub claude: WantedVersion,
    pub network: Network,
    pub limits: Limits,
    /// An OCI runtime; `None` for the engine's default.
    pub runtime: Option<String>,
    /// The proof that `limits` hold.
    pub limit_proof: LimitProof,
    /// The maximum size of a session's files on disk, in bytes.
    pub disk_bytes: u64,
    /// The time without a coordinator after which a sandbox ends itself.
    pub orphan_ttl: Duration,
    /// The time that a sandbox in which files are read is kept for the next reader.
    pub files_idle: Duration,
}

/// Launches and removes sandboxes.
pub struct SandboxHost {
    engine: Arc<dyn Engine>,
    links: Links,
    gateway: Gateway,
    instance: Instance,
    settings: SandboxSettings,
    tracker: TaskTracker,
    /// Set once SANDBOX_RUNTIME has passed its self-test.
    proven: OnceCell<()>,
    /// Set once a probe has shown that launches work and the limits hold.
    probed: OnceCell<LimitReport>,
    launches: launch_record::LaunchRecord,
    /// Names of the sandboxes that exist or are being launched. Every other object with this installation's label is an
    /// orphan.
    alive: DashSet<String>,
    /// Session keys of warm sandboxes, which no session has yet.
    unclaimed: DashSet<SessionKey>,
    /// An orphaned container may exist. It is looked for before the next launch, not only at the next regular cleanup,
    /// because its agent may still work in the session's files.
    orphans_suspected: AtomicBool,
    images: images::Images,
    measured: overview::Measured,
    /// The current readers of files.
    readers: files::Readers,
    /// The links of the sessions' sandboxes, in which files are read.
    links_of_sessions: files::LinksOfSessions,
    /// One cleanup at a time, so that a launch waits for the one in progress.
    removing_orphans: Mutex<()>,
}

/// A sandbox whose agent waits for messages.
pub struct Sandbox {
    pub name: SandboxName,
    pub container: ContainerId,
    pub image: SandboxImage,
    pub link: Link,
    pub process: Process,
    pub gateway: Arc<SandboxGateway>,
    /// The agent resumed an earlier conversation.
    pub resumed: bool,
    /// The model that the agent was started with. It is empty before the start of an agent, and after a reattachment.
    pub model: String,
    /// The agent asks about calls of tools, see [`LaunchOrder::asks`].
    pub asks: bool,
    /// A sentence for each repair of the agent's home before the agent started.
    pub repairs: Vec<String>,
}

impl Sandbox {
    /// The record with which another coordinator reattaches.
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
    /// Discards the output of an agent that has no task, until the agent ends. Cancel-safe.
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
            probed: OnceCell::new(),
            launches: launch_record::LaunchRecord::default(),
            alive: DashSet::new(),
            unclaimed: DashSet::new(),
            orphans_suspected: AtomicBool::new(true),
            images: images::Images::default(),
            measured: overview::Measured::default(),
            readers: files::Readers::default(),
            links_of_sessions: files::LinksOfSessions::default(),
            removing_orphans: Mutex::default(),
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

    /// Protects a sandbox of an earlier coordinator from removal, because a session will reattach to it.
    pub fn keep(&self, sandbox: &SandboxRecord) {
        self.alive.insert(sandbox.name.clone());
    }

    /// Removes a sandbox's container and sockets. The volumes stay. May be repeated.
    pub async fn take_down(&self, sandbox: &SandboxName) -> Result<(), EngineError> {
        // Removal kills the agent, whose remaining output is not needed.
        let removed = self.engine.remove_container(&ContainerId::new(sandbox.container())).await;
        failpoint!("container.removed");
        if let Err(error) = self.links.remove(sandbox.link()) {
            warn!(sandbox.name = %sandbox, %error, "could not remove the link's directory");
        }
        // The next cleanup finds a container that could not be removed.
        self.alive.remove(&sandbox.to_string());
        if removed.is_err() {
            self.orphans_suspected.store(true, Ordering::Relaxed);
        }
        removed
    }

    /// Removes a session's volumes. Its sandbox must have been removed before.
    pub async fn remove_volumes(&self, session: SessionKey) -> Result<(), EngineError> {
        let _nobody_reads = self.readers.close(session).await;
        for volume in self.engine.list_volumes(&self.instance.session_labels(session)).await? {
            match self.engine.remove_volume(&volume.name).await {
                Err(EngineError::Conflict { .. }) => {
                    // A container of a failed launch, which could not be removed then, still mounts the volume.
                    self.remove_orphans().await?;
                    self.engine.remove_volume(&volume.name).await?;
                }
                removed => removed?,
            }
            failpoint!("volume.removed");
        }
        Ok(())
    }
}
