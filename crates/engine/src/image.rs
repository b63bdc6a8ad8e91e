use std::collections::BTreeMap;

use futures::stream::BoxStream;

use crate::{EngineError, Labels, TarSource};

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// Of its content: `sha256:…`.
    pub id: String,
    pub labels: Labels,
    pub size_bytes: u64,
    /// RFC 3339, by the clock of who built it. `None` when it does not say.
    pub created: Option<String>,
}

/// An image to be built.
#[derive(Debug)]
pub struct BuildSpec {
    /// With a `Dockerfile` at its root.
    pub context: TarSource,
    pub tag: String,
    pub build_args: BTreeMap<String, String>,
    pub labels: Labels,
    pub cache: BuildCache,
}

/// Whether a build may take over the layers of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildCache {
    Use,
    Ignore,
}

/// What a build tells. It ends after [`Built`](BuildProgress::Built) or after an error.
pub type BuildStream = BoxStream<'static, Result<BuildProgress, EngineError>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildProgress {
    /// One line of the builder or of a program that it runs.
    Line(String),
    /// It is done: the image's id.
    Built(String),
}
