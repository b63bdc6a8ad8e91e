//! Builds the agent image and the image of repository tasks.
//!
//! | module | contains |
//! |---|---|
//! | `context` | the build context, streamed to the engine |
//! | `versions`, `fetch` | the known versions of Claude Code; a package, fetched by npm and checked |
//! | `sandbox_init` | the embedded static `sandbox-init`, and the check of another one |
//! | `repository` | the image of repository tasks, built from the agent image |
//! | `presets` | the registries that the image's package managers use |
//! | `error` | [`ImageError`] |
//!
//! Invariants:
//! - The content of the agent image is known: the Dockerfile, the pinned CLI and `sandbox-init`. Nothing is pulled from
//!   a registry of this project.
//! - An image that was built from the same content is not built again.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{BuildCache, BuildProgress, BuildSpec, Engine, EngineError, ImageInfo, Labels, archive};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

pub use self::error::ImageError;
pub use self::presets::presets;
use self::sandbox_init::SandboxInit;
use self::versions::Package;
pub use self::versions::{Support, Versions, versions};

mod context;
mod error;
mod fetch;
mod presets;
mod repository;
mod sandbox_init;
mod versions;

/// The label with the hash of everything that the image is built from.
pub const CONTENT_LABEL: &str = "claude-runner.content";
/// The label with the version of Claude Code in the image.
pub const CLAUDE_CODE_LABEL: &str = "claude-runner.claude-code";
/// The label with the version of Claude Runner whose `sandbox-init` is in the image.
pub const SANDBOX_INIT_LABEL: &str = "claude-runner.sandbox-init";

const DOCKERFILE: &str = include_str!("../../../docker/Dockerfile");

/// Settings of the CLI that take precedence over every file that the agent can write.
const MANAGED_SETTINGS: &str = include_str!("../../../docker/managed-settings.json");

/// The parameters of a build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Build the image of repository tasks from the existing agent image.
    pub repository: bool,
    /// The name of the agent image.
    pub tag: String,
    /// The name of the image of repository tasks.
    pub repository_tag: String,
    /// The base image: Debian, or an image with Debian's package manager.
    pub base_image: String,
    /// Claude Code's npm package (.tgz) for the engine's machine. With `None`, npm fetches it. Its hash is checked in
    /// both cases.
    pub claude_package: Option<PathBuf>,
    /// A static sandbox-init for the engine's machine. `None` uses the embedded one.
    pub sandbox_init: Option<PathBuf>,
    /// The directory that caches the fetched package. `None` uses ~/.cache.
    pub cache_dir: Option<PathBuf>,
    /// Build every layer again, even if the image is up to date.
    pub no_cache: bool,
}

/// The progress of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStep {
    /// npm fetches the package with this name and version.
    Fetching(String),
    /// The engine has started to build.
    Building,
    /// One line of output from the engine's builder.
    Line(String),
}

/// The result of a build: the image's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutcome {
    Built(String),
    /// The image existed and was built from the same content.
    UpToDate(String),
}

/// Builds the image that the options name, unless it exists with the same content. The image that had the name before
/// is removed if no container uses it.
pub async fn build(
    engine: &dyn Engine,
    options: &BuildOptions,
    mut progress: impl FnMut(BuildStep),
) -> Result<BuildOutcome, ImageError> {
    if options.repository {
        repository::build(engine, options, &mut progress).await
    } else {
        build_agent(engine, options, &mut progress).await
    }
}

async fn build_agent(
    engine: &dyn Engine,
    options: &BuildOptions,
    progress: &mut impl FnMut(BuildStep),
) -> Result<BuildOutcome, ImageError> {
    let architecture = engine.info().await?.architecture;
    let default = versions().default;
    let package = versions().tested_package(default, &architecture)?.ok_or(ImageError::NotListed(default))?;
    let sandbox_init = SandboxInit::load(options.sandbox_init.as_deref(), &architecture)?;

    let base = engine.image(&options.base_image).await?;
    let made_from = content_hash(&package, &sandbox_init, options, base.as_ref());
    let previous = engine.image(&options.tag).await?;
    if let Some(id) = up_to_date(options, previous.as_ref(), &made_from) {
        return Ok(BuildOutcome::UpToDate(id));
    }

    let archive = if let Some(file) = &options.claude_package {
        fetch::open_checked(file, &package).await?
    } else {
        let cache = cache_directory(options)?;
        fetch::fetch(&package, &cache, || progress(BuildStep::Fetching(package.to_string()))).await?
    };

    progress(BuildStep::Building);
    let texts = [("Dockerfile", DOCKERFILE), ("managed-settings.json", MANAGED_SETTINGS)];
    let (context, writer) = context::stream(texts, sandbox_init.into_bytes(), archive);
    let spec = BuildSpec {
        context,
        tag: options.tag.clone(),
        build_args: [("BASE_IMAGE".to_owned(), options.base_image.clone())].into(),
        labels: labels(made_from, &package),
        cache: options.cache(),
    };
    let built = follow(engine, spec, progress).await;
    // If the context broke off, that is the real cause of the engine's error.
    writer
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .or_else(archive::ignore_closed)
        .map_err(ImageError::Context)?;
    let id = built?;
    remove_previous(engine, previous, &id).await;
    Ok(BuildOutcome::Built(id))
}

impl BuildOptions {
    /// The name of the image that is built.
    pub fn name(&self) -> &str {
        if self.repository { &self.repository_tag } else { &self.tag }
    }

    fn cache(&self) -> BuildCache {
        if self.no_cache { BuildCache::Ignore } else { BuildCache::Use }
    }
}

/// The id of the previous image if it has the same content.
fn up_to_date(options: &BuildOptions, previous: Option<&ImageInfo>, made_from: &String) -> Option<String> {
    let same = previous.filter(|image| !options.no_cache && image.labels.get(CONTENT_LABEL) == Some(made_from));
    same.map(|image| image.id.clone())
}

async fn remove_previous(engine: &dyn Engine, previous: Option<ImageInfo>, id: &str) {
    if let Some(previous) = previous
        && previous.id != id
        && let Err(error) = engine.remove_image(&previous.id).await
    {
        tracing::debug!(image.id = previous.id, %error, "could not remove the previous image");
    }
}

async fn follow(
    engine: &dyn Engine,
    spec: BuildSpec,
    progress: &mut impl FnMut(BuildStep),
) -> Result<String, ImageError> {
    let tag = spec.tag.clone();
    let mut stream = engine.build_image(spec).await?;
    while let Some(step) = stream.next().await {
        match step? {
            BuildProgress::Line(line) => progress(BuildStep::Line(line)),
            BuildProgress::Built(id) => return Ok(id),
        }
    }
    Err(EngineError::BuildFailed { tag, reason: "the engine stopped without a result".to_owned() }.into())
}

fn labels(content: String, package: &Package) -> Labels {
    Labels::from([
        (CONTENT_LABEL.to_owned(), content),
        (CLAUDE_CODE_LABEL.to_owned(), package.version.to_string()),
        (SANDBOX_INIT_LABEL.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ])
}

/// Hashes everything that the image is built from. If the base image is missing, the build pulls it. The next build
/// then finds it and gets another hash, once.
fn content_hash(
    package: &Package,
    sandbox_init: &SandboxInit,
    options: &BuildOptions,
    base: Option<&ImageInfo>,
) -> String {
    let base = base.map_or("", |base| base.id.as_str());
    let texts = [DOCKERFILE, MANAGED_SETTINGS, &package.integrity, &options.base_image, base];
    hash_of(&texts.map(str::as_bytes), sandbox_init.bytes())
}

/// Hashes `parts` and `last`, which may be long.
fn hash_of(parts: &[&[u8]], last: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(last);
    format!("sha256-{}", BASE64_STANDARD.encode(hash.finalize()))
}

fn cache_directory(options: &BuildOptions) -> Result<PathBuf, ImageError> {
    let cache = options.cache_dir.clone().filter(|directory| !directory.as_os_str().is_empty());
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    Ok(cache.ok_or(ImageError::NoCacheDirectory)?.join("claude-runner"))
}

#[cfg(test)]
mod tests;
