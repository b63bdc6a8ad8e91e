use std::collections::BTreeMap;

use futures::stream::BoxStream;

use crate::{EngineError, Labels, TarSource};

/// An existing image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The digest of the content: `sha256:…`.
    pub id: String,
    pub labels: Labels,
    pub size_bytes: u64,
    /// RFC 3339, by the builder's clock. `None` if the image does not contain it.
    pub created: Option<String>,
}

/// Wakes up whoever follows the engine's images. The stream ends when the connection to the engine breaks.
pub type ImageChanges = BoxStream<'static, ()>;

/// The parameters of an image build.
#[derive(Debug)]
pub struct BuildSpec {
    /// The build context, with a `Dockerfile` at its root.
    pub context: TarSource,
    pub tag: String,
    pub build_args: BTreeMap<String, String>,
    pub labels: Labels,
    pub cache: BuildCache,
}

/// The use of layers from earlier builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildCache {
    Use,
    Ignore,
}

/// The progress of a build. The stream ends after [`Built`](BuildProgress::Built) or after an error.
pub type BuildStream = BoxStream<'static, Result<BuildProgress, EngineError>>;

/// One step of a build's progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildProgress {
    /// One line of output from the builder or from a program that it runs.
    Line(String),
    /// The build has succeeded; this is the image's id.
    Built(String),
}
