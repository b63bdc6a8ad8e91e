//! The registries that the package managers in the image of repository tasks use.
//!
//! They are not listed here. The image asks its own package managers when it is built, and the operator reads the
//! result before allowing anything.

use std::io::Read as _;

use engine::{ContainerSpec, Engine, EngineError, Labels, Limits, Network};
use futures::TryStreamExt as _;

use super::ImageError;

/// The file that the Dockerfile writes.
const FILE: &str = "/usr/local/share/claude-runner/presets.toml";

/// The maximum size of the file, many times its real size.
const MAX_BYTES: usize = 64 << 10;

/// Reads the file from the image, through a container that is never started.
pub async fn presets(engine: &dyn Engine, repository_image: &str) -> Result<String, ImageError> {
    let spec = ContainerSpec {
        name: format!("claude-runner-presets-{:08x}", rand::random::<u32>()),
        image: repository_image.to_owned(),
        labels: Labels::new(),
        entry_point: None,
        command: Vec::new(),
        environment: [].into(),
        mounts: Vec::new(),
        network: Network::None,
        limits: Limits::new(64 << 20, 100_000_000, 16),
        runtime: None,
        shared_directory: None,
    };
    let container = match engine.create_container(&spec).await {
        Err(EngineError::ImageMissing { image }) => return Err(ImageError::NoRepositoryImage(image)),
        created => created?,
    };
    let archive = async {
        let pieces = engine.download(&container, FILE).await?;
        let take = |mut all: Vec<u8>, piece: bytes::Bytes| async move {
            all.extend_from_slice(&piece[..piece.len().min(MAX_BYTES - all.len())]);
            Ok(all)
        };
        pieces.try_fold(Vec::new(), take).await
    };
    let archive = archive.await;
    engine.remove_container(&container).await?;
    match archive {
        Err(EngineError::NotFound { .. }) => Err(ImageError::NoPresets(repository_image.to_owned())),
        archive => text_of(&archive?).ok_or_else(|| ImageError::NoPresets(repository_image.to_owned())),
    }
}

/// Returns the text of the only file in an archive.
fn text_of(archive: &[u8]) -> Option<String> {
    let mut text = String::new();
    tar::Archive::new(archive).entries().ok()?.next()?.ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}
