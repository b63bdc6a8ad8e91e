//! [`DockerEngine`]: the trait [`Engine`] over the API of the Docker Engine, 20.10 (API 1.41) or newer, which Podman
//! speaks too.
//!
//! | module | contains |
//! |---|---|
//! | `convert` | specifications as bodies of the API, its responses as states; tested without an engine |
//! | `transfer` | archives into containers and out of them |
//! | `build`, `images` | image builds; names and history of images, and their changes |
//! | `dialect` | differences between the engines that speak this API: Docker and Podman |
//! | `failure` | the API's errors as [`EngineError`]s |
//!
//! Invariants:
//! - No other crate uses bollard, and none of its types leaves this one.
//! - Every call has a time limit. A call that may be repeated is safe to repeat, as the trait's contract requires.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    RemoveVolumeOptions, StatsOptionsBuilder,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use self::dialect::Dialect;
use self::failure::CallContext;
use engine::{
    BuildSpec, BuildStream, ContainerExit, ContainerId, ContainerSpec, ContainerState, ContainerSummary,
    ContainerUsage, Engine, EngineError, EngineInfo, ImageChanges, ImageInfo, Labels, Mount, Operation, TarSource,
    TarStream, VolumeSummary,
};

mod build;
mod convert;
mod dialect;
mod failure;
mod images;
mod transfer;

/// The engine's address if `DOCKER_HOST` is not set.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The time limit of a call. The slowest call, a start on a loaded machine, takes a few seconds.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The time limit of the readiness check, which somebody waits for.
const INFO_TIMEOUT: Duration = Duration::from_secs(10);

/// Bollard's own time limit for the headers of a response. This crate's limits are shorter. The only call without one
/// is a build, whose headers arrive after its context was sent.
const CLIENT_TIMEOUT: Duration = Duration::from_hours(24);

/// Number of attempts of a call that failed because an object changed while the engine looked at it.
const CHANGE_ATTEMPTS: u32 = 60;

/// The exit code with which Podman answers for a container that was never started.
const NEVER_STARTED: i64 = -1;

/// The pause between two attempts of a removal that another caller has started.
const REMOVAL_POLL: Duration = Duration::from_millis(50);

/// The Docker Engine, 20.10 (API 1.41) or newer, through its API on a Unix socket, TCP or SSH.
pub struct DockerEngine {
    host: String,
    /// The reason why `host` is no address.
    misconfigured: Option<String>,
    /// The client with its negotiated API version. It is set by the first successful call, because the engine may start
    /// later than this process.
    client: OnceCell<Docker>,
    /// Set before the first container is created.
    dialect: OnceCell<Dialect>,
}

impl DockerEngine {
    /// The engine at `host`: `unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST`. It sends nothing before the first
    /// call.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), misconfigured: None, client: OnceCell::new(), dialect: OnceCell::new() }
    }

    /// An engine without an address. Every call fails with this reason.
    pub fn misconfigured(reason: String) -> Self {
        Self { misconfigured: Some(reason), ..Self::new("") }
    }

    async fn client(&self, operation: Operation) -> Result<&Docker, EngineError> {
        if let Some(reason) = &self.misconfigured {
            return Err(EngineError::Misconfigured { operation, reason: reason.clone() });
        }
        let connect = async {
            // An engine answers with status 400 to a newer API version than its own, so negotiate first.
            Docker::connect_with_host(&self.host)?.with_timeout(CLIENT_TIMEOUT).negotiate_version().await
        };
        let connect = async { self.failed_as(operation, "", timeout(INFO_TIMEOUT, connect).await, INFO_TIMEOUT) };
        self.client.get_or_try_init(|| connect).await
    }

    async fn dialect(&self) -> Result<&Dialect, EngineError> {
        self.dialect.get_or_try_init(|| async { Ok(Dialect::of(&self.info().await?)) }).await
    }

    async fn bounded<T>(
        &self,
        operation: Operation,
        name: &str,
        bound: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        self.failed_as(operation, name, timeout(bound, call).await, bound)
    }

    fn failed_as<T>(
        &self,
        operation: Operation,
        name: &str,
        outcome: Result<Result<T, bollard::errors::Error>, tokio::time::error::Elapsed>,
        bound: Duration,
    ) -> Result<T, EngineError> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.context(operation, name).error(error)),
            Err(_) => Err(EngineError::Timeout { operation, name: name.to_owned(), seconds: bound.as_secs() }),
        }
    }

    fn context(&self, operation: Operation, name: &str) -> CallContext {
        CallContext { operation, name: name.to_owned(), address: self.host.clone() }
    }
}

#[async_trait]
impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let client = self.client(Operation::Info).await?;
        let both = async { tokio::try_join!(client.version(), client.info()) };
        let (version, info) = self.bounded(Operation::Info, "", INFO_TIMEOUT, both).await?;
        Ok(convert::engine_info(version, info, client.client_version().to_string()))
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError> {
        let client = self.client(Operation::CreateVolume).await?;
        let call = client.create_volume(convert::volume_request(name, labels));
        self.bounded(Operation::CreateVolume, name, CALL_TIMEOUT, call).await.map(drop)
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let client = self.client(Operation::RemoveVolume).await?;
        let outcome = repeated_while_objects_change(|| {
            let call = client.remove_volume(name, None::<RemoveVolumeOptions>);
            self.bounded(Operation::RemoveVolume, name, CALL_TIMEOUT, call)
        });
        missing_is(outcome.await, ())
    }

    async fn list_volumes(&self, labels: &Labels) -> Result<Vec<VolumeSummary>, EngineError> {
        let client = self.client(Operation::ListVolumes).await?;
        let options = ListVolumesOptionsBuilder::new().filters(&convert::label_filter(labels)).build();
        let answer = repeated_while_objects_change(|| {
            self.bounded(Operation::ListVolumes, "", CALL_TIMEOUT, client.list_volumes(Some(options.clone())))
        });
        Ok(convert::volume_summaries(answer.await?))
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let client = self.client(Operation::CreateContainer).await?;
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let adaptation = self.dialect().await?.adapt(spec.shared_directory.as_deref()).await.map_err(|error| {
            let context = self.context(Operation::CreateContainer, &spec.name);
            context.other(&format!("the seccomp profile could not be written for the engine: {error}"))
        })?;
        let call = client.create_container(Some(options), convert::create_body(spec, &adaptation));
        match self.bounded(Operation::CreateContainer, &spec.name, CALL_TIMEOUT, call).await {
            Ok(created) => Ok(ContainerId::new(created.id)),
            // Only a missing image gives this status: missing volumes are created, and a missing directory gives status
            // 400.
            Err(EngineError::NotFound { .. }) => Err(EngineError::ImageMissing { image: spec.image.clone() }),
            Err(EngineError::Other { operation, name, reason }) => Err(match unshared_path(spec, &reason) {
                Some(path) => EngineError::PathNotShared { address: self.host.clone(), path },
                None => EngineError::Other { operation, name, reason },
            }),
            Err(error) => Err(error),
        }
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let client = self.client(Operation::Start).await?;
        let call = client.start_container(id.as_str(), None);
        self.bounded(Operation::Start, id.as_str(), CALL_TIMEOUT, call).await
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), EngineError> {
        let client = self.client(Operation::RemoveContainer).await?;
        let deadline = Instant::now() + CALL_TIMEOUT;
        if self.dialect().await?.stops_before_removal() {
            let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
            let call = client.kill_container(id.as_str(), Some(options));
            // A container that does not run cannot be killed. The removal reports every other problem.
            let _ = self.bounded(Operation::RemoveContainer, id.as_str(), CALL_TIMEOUT, call).await;
        }
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).build();
            let call = client.remove_container(id.as_str(), Some(options));
            match self.bounded(Operation::RemoveContainer, id.as_str(), CALL_TIMEOUT, call).await {
                // Another caller is removing the container. Its volumes can only be removed after that.
                Err(EngineError::Conflict { reason, .. })
                    if removal_in_progress(&reason) && Instant::now() < deadline =>
                {
                    sleep(REMOVAL_POLL).await;
                }
                outcome => return missing_is(outcome, ()),
            }
        }
    }

    async fn inspect_container(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        let client = self.client(Operation::InspectContainer).await?;
        let outcome = repeated_while_objects_change(|| {
            let call = client.inspect_container(id.as_str(), None::<InspectContainerOptions>);
            self.bounded(Operation::InspectContainer, id.as_str(), CALL_TIMEOUT, call)
        });
        missing_is(outcome.await.map(|answer| Some(convert::container_state(answer))), None)
    }

    async fn wait_container(&self, id: &ContainerId) -> Result<ContainerExit, EngineError> {
        let client = self.client(Operation::WaitContainer).await?;
        let context = self.context(Operation::WaitContainer, id.as_str());
        let code = match client.wait_container(id.as_str(), None).next().await {
            Some(Ok(answer)) => answer.status_code,
            // This is bollard's name for a non-zero exit code.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => match context.error(error) {
                EngineError::NotFound { .. } => return Ok(ContainerExit::Gone),
                error => return Err(error),
            },
            None => return Err(context.unreachable("the engine closed the connection")),
        };
        let state = self.inspect_container(id).await?;
        // Podman's code for a container that was never started.
        let code = if code == NEVER_STARTED { 0 } else { code };
        Ok(ContainerExit::Exited { code, oom_killed: state.is_some_and(|state| state.oom_killed) })
    }

    async fn list_containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError> {
        let client = self.client(Operation::ListContainers).await?;
        let options = ListContainersOptionsBuilder::new().all(true).filters(&convert::label_filter(labels)).build();
        let answer = repeated_while_objects_change(|| {
            self.bounded(Operation::ListContainers, "", CALL_TIMEOUT, client.list_containers(Some(options.clone())))
        });
        let answer = answer.await?;
        Ok(answer.into_iter().map(convert::container_summary).collect())
    }

    async fn upload(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError> {
        self.send_archive(id, path, tar).await
    }

    async fn download(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError> {
        self.receive_archive(id, path).await
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<ContainerUsage>, EngineError> {
        let client = self.client(Operation::Usage).await?;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut answers = client.stats(id.as_str(), Some(options)).boxed();
        let outcome = match self.bounded(Operation::Usage, id.as_str(), INFO_TIMEOUT, answers.try_next()).await {
            // Podman does not measure a container that does not run.
            Err(EngineError::Other { reason, .. }) if reason.contains("container is stopped") => {
                return Ok(Some(ContainerUsage::default()));
            }
            outcome => outcome,
        };
        missing_is(outcome.map(|answer| answer.map(convert::usage)), None)
    }

    async fn logs(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError> {
        self.last_output(id, max_bytes).await
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        let client = self.client(Operation::Image).await?;
        let call = client.inspect_image(reference);
        let outcome = self.bounded(Operation::Image, reference, CALL_TIMEOUT, call).await;
        missing_is(outcome.map(|answer| Some(convert::image_info(answer))), None)
    }

    async fn image_history(&self, reference: &str) -> Result<Vec<String>, EngineError> {
        self.history_of(reference).await
    }

    async fn tag_image(&self, reference: &str, name: &str) -> Result<(), EngineError> {
        self.name_image(reference, name).await
    }

    async fn image_changes(&self) -> Result<ImageChanges, EngineError> {
        self.changes_of_images().await
    }

    async fn build_image(&self, spec: BuildSpec) -> Result<BuildStream, EngineError> {
        let client = self.client(Operation::BuildImage).await?;
        Ok(build::stream(client.clone(), spec, self.context(Operation::BuildImage, "")))
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        let client = self.client(Operation::RemoveImage).await?;
        let call = client.remove_image(reference, None::<RemoveImageOptions>, None);
        let outcome = self.bounded(Operation::RemoveImage, reference, CALL_TIMEOUT, call).await;
        missing_is(outcome.map(drop), ())
    }

    async fn bridge_gateway(&self) -> Result<Option<IpAddr>, EngineError> {
        let client = self.client(Operation::BridgeGateway).await?;
        let call = client.inspect_network("bridge", None::<InspectNetworkOptions>);
        let outcome = self.bounded(Operation::BridgeGateway, "bridge", CALL_TIMEOUT, call).await;
        missing_is(outcome.map(|answer| convert::gateway(&answer)), None)
    }
}

/// Repeats a call that failed because a container or volume changed while the engine looked at it. Podman answers with
/// "getting container from store …: container not known" if one of a list vanished. It also has states that Docker does not
/// have, such as `stopped`, through which a container passes within milliseconds.
async fn repeated_while_objects_change<T, F>(call: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 1..CHANGE_ATTEMPTS {
        match call().await {
            Err(EngineError::Other { reason, .. }) if changed(&reason) => sleep(REMOVAL_POLL).await,
            outcome => return outcome,
        }
    }
    call().await
}

fn changed(reason: &str) -> bool {
    let signs = ["container not known", "no such container", "no such volume", "unknown variant"];
    signs.iter().any(|words| reason.contains(words))
}

/// Replaces the error "not found" with `value`.
fn missing_is<T>(outcome: Result<T, EngineError>, value: T) -> Result<T, EngineError> {
    match outcome {
        Err(EngineError::NotFound { .. }) => Ok(value),
        outcome => outcome,
    }
}

/// Detects a mounted path that the engine's machine does not have: "bind source path does not exist: /PATH", "statfs /PATH:
/// no such file or directory".
fn unshared_path(spec: &ContainerSpec, reason: &str) -> Option<String> {
    if !reason.contains("does not exist") && !reason.contains("no such file or directory") {
        return None;
    }
    let sources = spec.mounts.iter().filter_map(|mount| match mount {
        Mount::Directory { source, .. } | Mount::File { source, .. } => Some(source.display().to_string()),
        Mount::Volume { .. } | Mount::ReadOnlyVolume { .. } => None,
    });
    sources.into_iter().find(|source| reason.contains(source.as_str()))
}

/// Detects a 409 that is not a rejection: "removal of container … is already in progress".
fn removal_in_progress(reason: &str) -> bool {
    reason.contains("already in progress")
}
