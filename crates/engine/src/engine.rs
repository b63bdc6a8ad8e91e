use std::net::IpAddr;

use async_trait::async_trait;

use crate::{
    BuildSpec, BuildStream, ContainerExit, ContainerId, ContainerSpec, ContainerState, ContainerSummary,
    ContainerUsage, EngineError, EngineInfo, ImageInfo, Labels, PathKind, TarSource, TarStream,
};

/// What Claude Runner asks of a container runtime.
///
/// # Order
/// A sandbox is made by [`create_volume`](Engine::create_volume) for each of its volumes,
/// [`create_container`](Engine::create_container), [`upload`](Engine::upload) of its files (a created container that
/// does not run yet takes them), [`start`](Engine::start), [`wait_container`](Engine::wait_container). It is taken down by
/// [`kill`](Engine::kill), [`remove_container`](Engine::remove_container) and then
/// [`remove_volume`](Engine::remove_volume): a volume cannot be removed while a container that names it exists.
///
/// # Concurrency
/// Every method may be called from any task at any time, also for the same container. An engine keeps no state of its
/// own between calls: all of it is in the runtime, so that a restarted coordinator finds everything again by label.
/// Dropping a returned future stops the waiting; what the runtime was asked to do may still happen.
///
/// # Twice
/// `create_volume`, `start`, `kill`, `remove_container`, `remove_volume` and `remove_image` may be repeated: where the
/// wished state is there already they answer `Ok`. `create_container` with a name in use answers
/// [`EngineError::Conflict`].
///
/// # After a failure
/// An error says that the wished state was not confirmed, not that nothing happened: after
/// [`EngineError::Timeout`] or [`EngineError::Unreachable`] the runtime may have done it. So the way back from every
/// error is to remove by the name that was asked for; removing what is not there is `Ok`. A container that could not be
/// started stays, created, until it is removed.
///
/// # Time
/// Each call has a bound of its own and ends with [`EngineError::Timeout`] there, except `wait_container` and the stream of
/// `build_image`, which last as long as what they watch. A stream ends with an error when nothing came for that bound.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What the runtime says about itself. Fails when it does not answer, which makes it the check of readiness.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Makes an empty volume, which takes the owner and mode of the image's directory when it is first mounted.
    /// One of that name that exists stays as it is, with the labels that it has.
    async fn create_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError>;

    /// Removes a volume with all its content. [`EngineError::Conflict`] while a container names it.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;

    /// Names of the volumes that have all of these labels, sorted.
    async fn list_volumes(&self, labels: &Labels) -> Result<Vec<String>, EngineError>;

    /// Makes a container that does not run yet. [`EngineError::ImageMissing`] when the image is not there: it is never
    /// pulled, since the agent image is built here.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Sends SIGKILL to every process in the container, and returns when the runtime has taken the order; the end is seen
    /// by `wait_container`.
    async fn kill(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Removes a container, killing it when it runs, and returns when it is gone. Its volumes stay.
    async fn remove_container(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// `None` when there is no such container.
    async fn inspect_container(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError>;

    /// Resolves when the container does not run: at once for one that was not started. A container that is gone is
    /// [`ContainerExit::Gone`], not an error. [`EngineError::Unreachable`] when the runtime goes away meanwhile; the
    /// container may still run then, so ask again.
    async fn wait_container(&self, id: &ContainerId) -> Result<ContainerExit, EngineError>;

    /// The containers, running or not, that have all of these labels.
    async fn list_containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError>;

    /// Unpacks a tar archive below `path`, an absolute directory inside a volume of the container. Owner and mode are the
    /// archive's: give its headers [`AGENT_UID`](crate::AGENT_UID). The read-only root cannot be written.
    async fn upload(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError>;

    /// The file or directory at the absolute `path` as a tar archive, whose entries begin with the last part of `path`.
    /// [`EngineError::NotFound`] comes from the call itself and not out of the stream.
    async fn download(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError>;

    /// What is at the absolute `path`, as long as it does not go through a link: the last part of `path` is not followed.
    /// `None` when nothing is there. As [`download`](Engine::download), also in a container that was never started.
    async fn path_kind(&self, id: &ContainerId, path: &str) -> Result<Option<PathKind>, EngineError>;

    /// What the container takes now; zeros for one that does not run. `None` when there is no such container.
    async fn usage(&self, id: &ContainerId) -> Result<Option<ContainerUsage>, EngineError>;

    /// The last `max_bytes` of what the container's first process wrote to stdout and stderr, for error messages.
    async fn logs(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError>;

    /// `None` when there is no such image.
    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError>;

    /// Builds and tags an image. The build goes on only while the stream is read; it succeeded when
    /// [`BuildProgress::Built`](crate::BuildProgress::Built) came. Dropping the stream cancels it.
    async fn build_image(&self, spec: BuildSpec) -> Result<BuildStream, EngineError>;

    /// Removes an image and its layers that no other one uses. [`EngineError::Conflict`] while a container uses it.
    async fn remove_image(&self, reference: &str) -> Result<(), EngineError>;

    /// The host's address on the network of [`Network::Bridge`](crate::Network::Bridge), where containers reach it.
    /// `None` where the runtime has no such network.
    async fn bridge_gateway(&self) -> Result<Option<IpAddr>, EngineError>;
}
