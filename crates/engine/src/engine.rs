use std::net::IpAddr;

use async_trait::async_trait;

use crate::{
    BuildSpec, BuildStream, ContainerExit, ContainerId, ContainerSpec, ContainerState, ContainerSummary,
    ContainerUsage, EngineError, EngineInfo, ImageChanges, ImageInfo, Labels, TarSource, TarStream, VolumeSummary,
};

/// The operations that Claude Runner needs from a container runtime. This documentation is the contract of every
/// engine.
///
/// # Order
/// To create a sandbox, call [`create_volume`](Engine::create_volume) for each of its volumes,
/// [`create_container`](Engine::create_container), [`upload`](Engine::upload) if it gets a token (a container accepts files
/// before it runs), [`start`](Engine::start) and [`wait_container`](Engine::wait_container). To remove it, call
/// [`remove_container`](Engine::remove_container) and then [`remove_volume`](Engine::remove_volume): a volume cannot be
/// removed while a container mounts it.
///
/// # Concurrency
/// Every method may be called from any task at any time, also for the same container. An engine keeps no state between
/// calls: all state is in the runtime, so that a restarted coordinator finds everything again by label. Dropping a
/// returned future stops the wait; the runtime may still perform the operation.
///
/// # Repetition
/// `create_volume`, `start`, `remove_container`, `remove_volume` and `remove_image` may be repeated: they return `Ok`
/// if the requested state already exists. `create_container` with a name in use returns [`EngineError::Conflict`].
///
/// # Failures
/// An error means that the requested state was not confirmed, not that nothing happened: after [`EngineError::Timeout`]
/// or [`EngineError::Unreachable`] the runtime may have performed the operation. To recover from any error, remove the
/// object by its requested name; removing a missing object returns `Ok`. A container that could not be started stays in
/// the state "created" until it is removed.
///
/// # Time limits
/// Each call has its own time limit and ends with [`EngineError::Timeout`] there. The exceptions are `wait_container`
/// and the stream of `build_image`, which last as long as their subject. A stream ends with an error if nothing arrives
/// within the time limit.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Returns the runtime's description of itself. It fails if the runtime does not answer, so it is the readiness
    /// check.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Creates an empty volume. At its first mount the volume takes owner and mode from the image's directory. An
    /// existing volume of that name stays unchanged, including its labels.
    async fn create_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError>;

    /// Removes a volume with all its content. [`EngineError::Conflict`] while a container mounts it.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;

    /// Lists the volumes that have all of these labels, sorted by name.
    async fn list_volumes(&self, labels: &Labels) -> Result<Vec<VolumeSummary>, EngineError>;

    /// Creates a container without starting it. [`EngineError::ImageMissing`] if the image does not exist: an image is
    /// never pulled, because the agent image is built locally.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError>;

    /// Starts a container.
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Kills and removes a container. Returns when it no longer exists. Its volumes stay.
    async fn remove_container(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Returns the state of a container, or `None` if it does not exist.
    async fn inspect_container(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError>;

    /// Resolves when the container does not run; at once if it was never started. A missing container gives
    /// [`ContainerExit::Gone`], not an error. [`EngineError::Unreachable`] if the runtime becomes unreachable during
    /// the wait; the container may still run then, so call again.
    async fn wait_container(&self, id: &ContainerId) -> Result<ContainerExit, EngineError>;

    /// Lists the containers, running or not, that have all of these labels.
    async fn list_containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError>;

    /// Unpacks a tar archive below `path`, an absolute directory in one of the container's volumes. Owner and mode come
    /// from the archive's headers: set them to [`AGENT_UID`](crate::AGENT_UID). The root file system is read-only.
    async fn upload(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError>;

    /// Returns the file or directory at the absolute `path` as a tar archive. The paths of its entries start with the
    /// last component of `path`, or for the root of a volume with `/` (Podman). [`EngineError::NotFound`] comes from the call itself, not from the stream.
    async fn download(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError>;

    /// Returns the container's current resource usage; zeros if it does not run. `None` if it does not exist.
    async fn usage(&self, id: &ContainerId) -> Result<Option<ContainerUsage>, EngineError>;

    /// Returns the last `max_bytes` bytes of stdout and stderr of the container's first process, for error messages.
    async fn logs(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError>;

    /// Returns the image, or `None` if it does not exist.
    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError>;

    /// Returns how the image was made, as one line for each step, the newest first. Empty if the runtime does not know.
    async fn image_history(&self, reference: &str) -> Result<Vec<String>, EngineError>;

    /// Gives an image another name. An image that had the name keeps its content and loses the name.
    async fn tag_image(&self, reference: &str, name: &str) -> Result<(), EngineError>;

    /// Yields an item after every change of the names of images. A runtime may leave out some changes.
    async fn image_changes(&self) -> Result<ImageChanges, EngineError>;

    /// Builds and tags an image. The build advances only while the stream is read. It has succeeded when
    /// [`BuildProgress::Built`](crate::BuildProgress::Built) arrives. Dropping the stream cancels it.
    async fn build_image(&self, spec: BuildSpec) -> Result<BuildStream, EngineError>;

    /// Removes an image and those of its layers that no other image uses. [`EngineError::Conflict`] while a container
    /// uses it.
    async fn remove_image(&self, reference: &str) -> Result<(), EngineError>;

    /// Returns the host's address on the network of [`Network::Bridge`](crate::Network::Bridge), at which containers
    /// reach the host. `None` if the runtime has no such network.
    async fn bridge_gateway(&self) -> Result<Option<IpAddr>, EngineError>;
}
