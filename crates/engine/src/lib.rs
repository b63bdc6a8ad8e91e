//! The trait [`Engine`], its contract and its plain types, and [`FakeEngine`], an engine in memory for tests. An engine
//! runs the containers of sandboxes.
//!
//! | module | contains |
//! |---|---|
//! | `engine` | the trait; its documentation is the contract that every engine keeps |
//! | `spec`, `state`, `image` | the specification of a container, its state, and the same for images |
//! | [`archive`] | tar archives that are written while the engine reads them |
//! | `gated` | an engine whose containers and volumes may not be used yet |
//! | `fake` | the engine for tests, which can fail at each step |
//!
//! Invariants:
//! - Nothing here knows a concrete engine. Each one is a separate crate.

pub mod archive;
mod engine;
mod error;
mod fake;
mod gated;
mod image;
mod spec;
mod state;
mod tar_source;

pub use engine::Engine;
pub use error::{EngineError, Operation};
pub use fake::{Call, FakeEngine, Started};
pub use gated::{Gate, GatedEngine};
pub use image::{BuildCache, BuildProgress, BuildSpec, BuildStream, ImageChanges, ImageInfo};
pub use spec::{AGENT_GID, AGENT_UID, ContainerSpec, Labels, Limits, Mount, Network};
pub use state::{
    ContainerExit, ContainerId, ContainerState, ContainerSummary, ContainerUsage, EngineInfo, VolumeSummary,
};
pub use tar_source::{TarSource, TarStream};
