//! The driver of the container runtime: the trait [`Engine`] with its contract, [`DockerEngine`] which keeps it with the
//! Docker API, and [`FakeEngine`] which keeps it in memory for tests.
//!
//! Only the folder `docker` knows the Docker API's types; nothing of them leaves this crate.

pub mod archive;
mod docker;
mod engine;
mod error;
mod fake;
mod image;
mod spec;
mod state;
mod tar_source;

pub use docker::DockerEngine;
pub use engine::Engine;
pub use error::{EngineError, Operation};
pub use fake::{Call, FakeEngine, Started};
pub use image::{BuildCache, BuildProgress, BuildSpec, BuildStream, ImageInfo};
pub use spec::{AGENT_GID, AGENT_UID, ContainerSpec, Labels, Limits, Mount, Network};
pub use state::{ContainerExit, ContainerId, ContainerState, ContainerSummary, ContainerUsage, EngineInfo, PathKind};
pub use tar_source::{TarSource, TarStream};
