//! The trait [`Engine`], what runs sandboxes: its contract, its plain types, and [`FakeEngine`], which keeps it in memory for tests.
//!
//! | module | contains |
//! |---|---|
//! | `engine` | the trait; its documentation is the contract that every engine keeps |
//! | `spec`, `state`, `image` | what a container is made from, what is known of it, and the same for images |
//! | [`archive`] | tar archives that are written while the engine reads them |
//! | `fake` | the engine of the tests, which can be told to fail at each step |
//!
//! Invariants:
//! - Nothing here knows a concrete engine; those are crates of their own.

pub mod archive;
mod engine;
mod error;
mod fake;
mod image;
mod spec;
mod state;
mod tar_source;

pub use engine::Engine;
pub use error::{EngineError, Operation};
pub use fake::{Call, FakeEngine, Started};
pub use image::{BuildCache, BuildProgress, BuildSpec, BuildStream, ImageInfo};
pub use spec::{AGENT_GID, AGENT_UID, ContainerSpec, Labels, Limits, Mount, Network};
pub use state::{ContainerExit, ContainerId, ContainerState, ContainerSummary, ContainerUsage, EngineInfo, PathKind};
pub use tar_source::{TarSource, TarStream};
