//! The agent image: built here from the Dockerfile, the pinned CLI and `sandbox-init`, so that nothing is pulled from a place
//! of ours and its content is known. And the image of repository tasks, which is made from it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{BuildCache, BuildProgress, BuildSpec, Engine, EngineError, ImageInfo, Labels, archive};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

pub use self::error::ImageError;
use self::pinned::Package;
pub use self::pinned::claude_code_version;
pub use self::presets::presets;
use self::sandbox_init::SandboxInit;

mod context;
mod error;
mod fetch;
mod pinned;
mod presets;
mod repository;
mod sandbox_init;

/// Label with the hash of everything that the image is made from.
pub const CONTENT_LABEL: &str = "claude-runner.content";
/// Label with the version of Claude Code in the image.
pub const CLAUDE_CODE_LABEL: &str = "claude-runner.claude-code";
/// Label with the version of Claude Runner whose `sandbox-init` is in the image.
pub const SANDBOX_INIT_LABEL: &str = "claude-runner.sandbox-init";

const DOCKERFILE: &str = include_str!("../../../docker/Dockerfile");

/// What the CLI is told above all that the agent can write.
const MANAGED_SETTINGS: &str = include_str!("../../../docker/managed-settings.json");

/// What is built, and from what.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Build the image of repository tasks, from the agent image that is there.
    pub repository: bool,
    /// The name of the agent image.
    pub tag: String,
    /// The name of the image of repository tasks.
    pub repository_tag: String,
    /// The image to start from: Debian, or one that has its package manager.
    pub base_image: String,
    /// Claude Code's npm package (.tgz) for the engine's machine. `None`: npm fetches it. Its hash is checked either way.
    pub claude_package: Option<PathBuf>,
    /// A static sandbox-init for the engine's machine. `None`: the one built into this program.
    pub sandbox_init: Option<PathBuf>,
    /// The directory that keeps the fetched package. `None`: ~/.cache.
    pub cache_dir: Option<PathBuf>,
    /// Build every layer again, even when the image is up to date.
    pub no_cache: bool,
}

/// What a build is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The package of this name and version is being fetched.
    Fetching(String),
    /// The engine has begun.
    Building,
    /// One line of the engine's builder.
    Line(String),
}

/// The image's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Built(String),
    /// It was there, made from the same.
    UpToDate(String),
}

/// Builds the image that the options name, unless one made from the same things is there. The one that had the name before is
/// removed when nobody uses it.
pub async fn build(
    engine: &dyn Engine,
    options: &BuildOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Outcome, ImageError> {
    if options.repository {
        repository::build(engine, options, &mut progress).await
    } else {
        build_agent(engine, options, &mut progress).await
    }
}

async fn build_agent(
    engine: &dyn Engine,
    options: &BuildOptions,
    progress: &mut impl FnMut(Progress),
) -> Result<Outcome, ImageError> {
    let architecture = engine.info().await?.architecture;
    let package = Package::for_architecture(&architecture)?;
    let sandbox_init = SandboxInit::load(options.sandbox_init.as_deref(), &architecture)?;

    let base = engine.image(&options.base_image).await?;
    let made_from = content_hash(&package, &sandbox_init, options, base.as_ref());
    let previous = engine.image(&options.tag).await?;
    if let Some(id) = up_to_date(options, previous.as_ref(), &made_from) {
        return Ok(Outcome::UpToDate(id));
    }

    let archive = if let Some(file) = &options.claude_package {
        fetch::open_checked(file, &package).await?
    } else {
        let cache = cache_directory(options)?;
        fetch::fetch(&package, &cache, || progress(Progress::Fetching(package.to_string()))).await?
    };

    progress(Progress::Building);
    let texts = [("Dockerfile", DOCKERFILE), ("managed-settings.json", MANAGED_SETTINGS)];
    let (context, writer) = context::stream(texts, sandbox_init.into_bytes(), archive);
    let spec = BuildSpec {
        context,
        tag: options.tag.clone(),
        build_args: [("BASE_IMAGE".to_owned(), options.base_image.clone())].into(),
        labels: labels(made_from),
        cache: options.cache(),
    };
    let built = follow(engine, spec, progress).await;
    // A context that broke off is the cause of whatever the engine says about it.
    writer
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .or_else(archive::ignore_closed)
        .map_err(ImageError::Context)?;
    let id = built?;
    remove_previous(engine, previous, &id).await;
    Ok(Outcome::Built(id))
}

impl BuildOptions {
    /// The name of what is built.
    pub fn name(&self) -> &str {
        if self.repository { &self.repository_tag } else { &self.tag }
    }

    fn cache(&self) -> BuildCache {
        if self.no_cache { BuildCache::Ignore } else { BuildCache::Use }
    }
}

/// The id of an image that was made from the same.
fn up_to_date(options: &BuildOptions, previous: Option<&ImageInfo>, made_from: &String) -> Option<String> {
    let same = previous.filter(|image| !options.no_cache && image.labels.get(CONTENT_LABEL) == Some(made_from));
    same.map(|image| image.id.clone())
}

async fn remove_previous(engine: &dyn Engine, previous: Option<ImageInfo>, id: &str) {
    if let Some(previous) = previous
        && previous.id != id
        && let Err(error) = engine.remove_image(&previous.id).await
    {
        tracing::debug!(image.id = previous.id, %error, "the image built before stays");
    }
}

async fn follow(
    engine: &dyn Engine,
    spec: BuildSpec,
    progress: &mut impl FnMut(Progress),
) -> Result<String, ImageError> {
    let tag = spec.tag.clone();
    let mut stream = engine.build_image(spec).await?;
    while let Some(step) = stream.next().await {
        match step? {
            BuildProgress::Line(line) => progress(Progress::Line(line)),
            BuildProgress::Built(id) => return Ok(id),
        }
    }
    Err(EngineError::BuildFailed { tag, reason: "the engine stopped without a result".to_owned() }.into())
}

fn labels(content: String) -> Labels {
    Labels::from([
        (CONTENT_LABEL.to_owned(), content),
        (CLAUDE_CODE_LABEL.to_owned(), claude_code_version()),
        (SANDBOX_INIT_LABEL.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ])
}

/// A base image that is not there will be pulled by the build; the next build finds it and has another hash, once.
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

/// Of parts, and of one more that is long.
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
