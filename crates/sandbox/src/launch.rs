//! Launches a sandbox: from nothing to an agent that waits for a message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agent_template::AgentTemplate;
use domain::session::SessionKey;
use engine::{ContainerExit, ContainerId, ContainerSpec, EngineError, Mount, VolumeSummary};
use failpoint::failpoint;
use gateway::{Gateway, SandboxGateway};
use link::{FilesError, LinkError, SendError};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::limits::ResourceSet;
use super::links::{Attachment, TOKEN_DIRECTORY};
use super::process::{Process, ProcessEnd};
use super::{Sandbox, SandboxHost, SandboxName, agent, names};

/// The time limit of a launch. Container and CLI take about a second; a loaded machine may need many times that.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// The parameters of a launch.
#[derive(Clone, Debug)]
pub struct LaunchOrder {
    pub session: SessionKey,
    pub template: Arc<AgentTemplate>,
    pub model: String,
    /// The conversation to resume.
    pub resume: Option<String>,
    /// No agent has worked in the workspace yet. If an earlier launch was interrupted, the workspace may exist without
    /// its template.
    pub fresh_workspace: bool,
    pub assignment: Assignment,
    /// The agent asks the coordinator about each call of a tool, and may ask people. An agent that was started without this never
    /// works on a task with rules.
    pub asks: bool,
}

/// The environment in which an agent works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// The agent works in the workspace. Its template is its only prompt.
    Workspace,
    /// The agent works in a directory of the workspace, in the image of this name. The template's instructions are
    /// appended to the CLI's own prompt.
    Directory { path: String, image: String },
    /// The same as [`Assignment::Workspace`], in the image of this name.
    Image(String),
}

impl Assignment {
    fn image(&self) -> Option<&str> {
        match self {
            Assignment::Workspace => None,
            Assignment::Directory { image, .. } | Assignment::Image(image) => Some(image),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("could not send a command to the sandbox")]
    Send(#[from] SendError),
    #[error("could not copy files into the sandbox")]
    Files(#[from] FilesError),
    #[error("{}", .0.describe())]
    Ended(ProcessEnd),
    #[error("SANDBOX_RUNTIME is {runtime}, which failed its self-test, a tool call of Claude Code: {reason}")]
    Runtime { runtime: String, reason: String },
    #[error("the image {image} cannot be used: {reason}")]
    TooOld { image: String, reason: String },
    #[error(
        "the container engine does not limit {} of a sandbox. A rootless engine does with cgroup v2 and delegated controllers. \
         To run without these limits, set ALLOW_UNLIMITED={}",
        super::probe::in_words(.0), .0
    )]
    Unlimited(ResourceSet),
    #[error("a sandbox could not connect to this server: {0}")]
    NotConnected(String),
    /// The agent runs but cannot be used.
    #[error("{0}")]
    Refused(String),
    #[error("the sandbox was not ready within {} s", START_TIMEOUT.as_secs())]
    Timeout,
    #[error("the launch was cancelled")]
    Cancelled,
}

impl LaunchError {
    /// True if the same launch may succeed later: the engine was unreachable, or the process lacked file descriptors.
    pub fn may_pass(&self) -> bool {
        match self {
            LaunchError::Engine(error) => matches!(error, EngineError::Unreachable { .. }),
            LaunchError::Link(error) => error.lacks_descriptors(),
            LaunchError::Send(_)
            | LaunchError::Files(_)
            | LaunchError::Runtime { .. }
            | LaunchError::TooOld { .. }
            | LaunchError::Unlimited(_)
            | LaunchError::NotConnected(_)
            | LaunchError::Ended(_)
            | LaunchError::Refused(_)
            | LaunchError::Timeout
            | LaunchError::Cancelled => false,
        }
    }
}

impl SandboxHost {
    /// Launches a sandbox. If anything fails, nothing of the sandbox is left; volumes that the session already had
    /// stay.
    pub async fn launch(&self, order: LaunchOrder, cancel: CancellationToken) -> Result<Sandbox, LaunchError> {
        self.prove_limits(&cancel).await?;
        self.prove_runtime(&cancel).await?;
        let outcome = self.launch_with(order, cancel, &self.gateway).await;
        self.launches.launched(outcome.as_ref().map(|_| ()));
        outcome
    }

    /// The same as [`SandboxHost::launch`], with any runtime and with this gateway behind the link.
    pub(super) async fn launch_with(
        &self,
        order: LaunchOrder,
        cancel: CancellationToken,
        gateway: &Gateway,
    ) -> Result<Sandbox, LaunchError> {
        let name = self.new_name();
        self.within_bounds(&name, order.session, &cancel, self.launch_as(&name, &order, gateway)).await
    }

    /// Launches a sandbox without an agent. Programs can run in it, and [`Sandbox::start_agent`] starts an agent.
    pub async fn open(&self, order: &LaunchOrder, cancel: &CancellationToken) -> Result<Sandbox, LaunchError> {
        self.prove_limits(cancel).await?;
        self.prove_runtime(cancel).await?;
        let name = self.new_name();
        let opening = self.open_as(&name, order, &self.gateway);
        let outcome = self.within_bounds(&name, order.session, cancel, opening).await;
        self.launches.launched(outcome.as_ref().map(|_| ()));
        outcome
    }

    pub(super) fn new_name(&self) -> SandboxName {
        let name = SandboxName::generate();
        self.alive.insert(name.to_string());
        name
    }

    /// Applies the time limit and the cancellation, and removes a sandbox that did not start.
    pub(super) async fn within_bounds<T>(
        &self,
        name: &SandboxName,
        session: SessionKey,
        cancel: &CancellationToken,
        making: impl Future<Output = Result<T, LaunchError>>,
    ) -> Result<T, LaunchError> {
        let unfinished = Unfinished { host: self, name };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(LaunchError::Cancelled),
            outcome = timeout(START_TIMEOUT, making) => outcome.unwrap_or(Err(LaunchError::Timeout)),
        };
        if let Err(error) = &outcome {
            info!(sandbox.name = %name, session.key = %session, %error, "a sandbox did not start");
            if let Err(error) = self.take_down(name).await {
                warn!(sandbox.name = %name, %error, "could not remove a sandbox that did not start");
            }
        }
        // The caller may drop this future in any await above.
        std::mem::forget(unfinished);
        outcome
    }

    async fn launch_as(
        &self,
        name: &SandboxName,
        order: &LaunchOrder,
        gateway: &Gateway,
    ) -> Result<Sandbox, LaunchError> {
        let mut sandbox = self.open_as(name, order, gateway).await?;
        sandbox.start_agent(order).await?;
        failpoint!("agent.initialised");
        Ok(sandbox)
    }

    async fn open_as(
        &self,
        name: &SandboxName,
        order: &LaunchOrder,
        gateway: &Gateway,
    ) -> Result<Sandbox, LaunchError> {
        self.remove_suspected_orphans().await;
        let gateway = gateway.open();
        let attached = self.links.attach(name, self.settings.orphan_ttl, Arc::clone(&gateway))?;
        failpoint!("link.bound");
        let existing = self.engine.list_volumes(&self.instance.session_labels(order.session)).await?;
        let fresh = existing.is_empty();
        let opening = async {
            let mut sandbox = self.create_and_start(name, order, &existing, attached, gateway).await?;
            if fresh || order.fresh_workspace {
                sandbox.unpack(order.template.archive.clone().into()).await?;
                failpoint!("template.unpacked");
            }
            self.links_of_sessions.set(order.session, &sandbox.link);
            Ok(sandbox)
        };
        let opened = opening.await;
        if opened.is_err() && fresh && !order.fresh_workspace {
            // The next launch would mistake a workspace without its template for one that has it.
            self.engine.remove_container(&ContainerId::new(name.container())).await?;
            self.remove_volumes(order.session).await?;
        }
        opened
    }

    async fn create_and_start(
        &self,
        name: &SandboxName,
        order: &LaunchOrder,
        existing: &[VolumeSummary],
        attached: Attachment,
        gateway: Arc<SandboxGateway>,
    ) -> Result<Sandbox, LaunchError> {
        let volumes = self.instance.volumes(order.session, existing);
        for volume in &volumes {
            self.engine.create_volume(&volume.name, &volume.labels).await?;
            failpoint!("volume.created");
        }
        let container = self.create_container(name, order, volumes, &attached).await?;
        failpoint!("container.created");
        let image = order.assignment.image().unwrap_or(&self.settings.image);
        let (started, image) = tokio::join!(self.engine.start(&container), self.image_of(&container, image));
        started?;
        let image = image?;
        failpoint!("container.started");
        let link = attached.link;
        let process = Process::new(attached.output, self.watch(&container));
        Ok(Sandbox {
            name: name.clone(),
            container,
            image,
            link,
            process,
            gateway,
            resumed: false,
            repairs: Vec::new(),
            model: String::new(),
            asks: false,
        })
    }

    async fn create_container(
        &self,
        name: &SandboxName,
        order: &LaunchOrder,
        volumes: [names::SessionVolume; 2],
        attached: &Attachment,
    ) -> Result<ContainerId, EngineError> {
        let volumes = volumes.map(|volume| Mount::Volume { name: volume.name, target: volume.target.to_owned() });
        let spec = ContainerSpec {
            name: name.container(),
            image: order.assignment.image().unwrap_or(&self.settings.image).to_owned(),
            labels: self.instance.sandbox_labels(name),
            entry_point: None,
            command: Vec::new(),
            environment: BTreeMap::from([
                ("LINK".to_owned(), attached.address.clone()),
                ("DISK_LIMIT_BYTES".to_owned(), self.settings.disk_bytes.to_string()),
                ("DISK_PATHS".to_owned(), format!("{}:{}", domain::sandbox::WORKSPACE, agent::HOME)),
            ]),
            mounts: volumes.into_iter().chain(attached.mounts.clone()).collect(),
            network: self.settings.network,
            limits: self.settings.limits,
            runtime: self.settings.runtime.clone(),
            shared_directory: self.links.shared_directory(),
        };
        let container = self.engine.create_container(&spec).await?;
        if let Some(archive) = attached.token_archive.clone() {
            self.engine.upload(&container, TOKEN_DIRECTORY, archive.into()).await?;
        }
        Ok(container)
    }

    /// Reports when the container no longer runs. While the engine is unreachable, the call is repeated.
    pub(super) fn watch(&self, container: &ContainerId) -> oneshot::Receiver<ContainerExit> {
        let (mut exit_tx, exit_rx) = oneshot::channel();
        let (engine, container) = (Arc::clone(&self.engine), container.clone());
        self.tracker.spawn(async move {
            let exit = async {
                loop {
                    match engine.wait_container(&container).await {
                        Ok(exit) => return exit,
                        Err(error) => {
                            warn!(container.id = %container, %error, "the wait for a container was interrupted");
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                }
            };
            tokio::select! {
                exit = exit => { let _ = exit_tx.send(exit); }
                () = exit_tx.closed() => {}
            }
        });
        exit_rx
    }
}

/// A sandbox that is being launched. If the launch is dropped, its container is an orphan.
pub(super) struct Unfinished<'a> {
    pub(super) host: &'a SandboxHost,
    pub(super) name: &'a SandboxName,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.host.alive.remove(&self.name.to_string());
        self.host.orphans_suspected.store(true, Ordering::Relaxed);
    }
}
