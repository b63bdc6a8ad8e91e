//! Builds the agent image and the image of repository tasks.
//!
//! | module | contains |
//! |---|---|
//! | `authorities` | the certificate authorities of CA_FILE in the image |
//! | `context` | the build context, streamed to the engine |
//! | `versions`, `wanted` | the known versions of Claude Code; the one that an image is to have |
//! | `npm`, `fetch` | npm and the registry; a package, fetched and checked |
//! | `ask` | the version that the program in an image reports |
//! | `owned` | the images that this crate has made, which are the only ones that it replaces |
//! | `sandbox_init` | the embedded static `sandbox-init`, and the check of another one |
//! | `repository` | the image of repository tasks, built from the agent image |
//! | `presets` | the registries that the image's package managers use |
//! | `error` | [`ImageError`] |
//!
//! Invariants:
//! - The content of the agent image is known: the Dockerfile, a CLI whose hash is checked, and `sandbox-init`. Nothing is
//!   pulled from a registry of this project.
//! - An image is tagged only after its `claude --version` reported the expected version.
//! - An image that was built from the same content is not built again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::claude_code::Version;
use engine::{BuildCache, BuildProgress, BuildSpec, Engine, EngineError, ImageInfo, Labels, archive};
use futures::StreamExt as _;
use network_access::NetworkAccess;
use sha2::{Digest as _, Sha256};

pub use self::ask::{AskError, AskedIn, ask_version};
pub use self::authorities::trusts_authorities;
pub use self::error::ImageError;
pub use self::presets::presets;
use self::sandbox_init::SandboxInit;
use self::versions::Package;
pub use self::versions::{BUILD_AGAIN, Support, Versions, versions};
pub use self::wanted::{InvalidWantedVersion, WantedVersion};

mod ask;
mod authorities;
mod context;
mod error;
mod fetch;
mod npm;
mod owned;
mod presets;
mod repository;
mod sandbox_init;
mod versions;
mod wanted;

/// The label with the hash of everything that the image is built from.
pub const CONTENT_LABEL: &str = "claude-runner.content";
/// The label with the version of Claude Code in the image. It is for people: an image that is built from this one inherits it,
/// whatever is in it.
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
    /// The version of Claude Code.
    pub claude: WantedVersion,
    /// Claude Code's npm package (.tgz) for the engine's machine. With `None`, npm fetches it. Its hash is checked in
    /// both cases.
    pub claude_package: Option<PathBuf>,
    /// A static sandbox-init for the engine's machine. `None` uses the embedded one.
    pub sandbox_init: Option<PathBuf>,
    /// The directory that caches the fetched package. With `None`, a package cannot be fetched.
    pub cache_dir: Option<PathBuf>,
    /// The proxies of the build and of npm, and the certificate authorities that the image trusts.
    pub network: NetworkAccess,
    /// Build every layer again, even if the image is up to date.
    pub no_cache: bool,
}

/// The progress of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStep {
    /// The registry is asked for this package's version and hash.
    LookingUp(String),
    /// npm fetches the package with this name and version.
    Fetching(String),
    /// The engine has started to build.
    Building,
    /// One line of output from the engine's builder.
    Line(String),
    /// The new image is asked for the version of its `claude`.
    Asking,
}

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOutcome {
    /// The image's id.
    pub id: String,
    pub change: Change,
    /// The version of Claude Code in the agent image. `None` for the image of repository tasks.
    pub claude: Option<Version>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Built,
    /// The image existed and was built from the same content.
    UpToDate,
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
    // Before the registry is asked.
    owned::previous(engine, &options.tag).await?;
    let architecture = engine.info().await?.architecture;
    let package = wanted_package(options, &architecture, progress).await?;
    build_package(engine, options, package, progress).await
}

async fn build_package(
    engine: &dyn Engine,
    options: &BuildOptions,
    package: Package,
    progress: &mut impl FnMut(BuildStep),
) -> Result<BuildOutcome, ImageError> {
    let architecture = engine.info().await?.architecture;
    let previous = owned::previous(engine, &options.tag).await?;
    let sandbox_init = SandboxInit::load(options.sandbox_init.as_deref(), &architecture)?;

    let base = engine.image(&options.base_image).await?;
    let made_from = content_hash(&package, &sandbox_init, options, base.as_ref());
    let claude = Some(package.version);
    if let Some(id) = up_to_date(options, previous.as_ref(), &made_from) {
        return Ok(BuildOutcome { id, change: Change::UpToDate, claude });
    }

    let archive = if let Some(file) = &options.claude_package {
        fetch::open_checked(file, &package).await?
    } else {
        let cache = cache_directory(options)?;
        fetch::fetch(&package, &cache, &options.network, || progress(BuildStep::Fetching(package.to_string()))).await?
    };

    progress(BuildStep::Building);
    let texts = [("Dockerfile", dockerfile(&options.network)), ("managed-settings.json", MANAGED_SETTINGS.to_owned())];
    let texts = texts.map(|(name, text)| (name.to_owned(), text)).into_iter();
    let texts = texts.chain(authorities::files(&options.network)).collect();
    let (context, writer) = context::stream(texts, sandbox_init.into_bytes(), archive);
    let spec = BuildSpec {
        context,
        tag: unverified_name(),
        build_args: options.build_args(&options.base_image),
        labels: labels(made_from, &package, &options.network),
        cache: options.cache(),
    };
    let unverified = spec.tag.clone();
    let built = follow(engine, spec, &options.tag, progress).await;
    // If the context broke off, that is the real cause of the engine's error.
    writer
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .or_else(archive::ignore_closed)
        .map_err(ImageError::Context)?;
    let id = built?;
    progress(BuildStep::Asking);
    let named = match verify(engine, &id, &options.tag, &package).await {
        Ok(()) => engine.tag_image(&id, &options.tag).await.map_err(ImageError::from),
        Err(error) => Err(error),
    };
    // Removes only the name if the image has its other one by now.
    if let Err(error) = engine.remove_image(&unverified).await {
        tracing::debug!(image.name = unverified, %error, "could not remove the first name of an image");
    }
    named?;
    remove_previous(engine, previous, &id).await;
    Ok(BuildOutcome { id, change: Change::Built, claude })
}

/// The package of a version: from the list if it was tested, else from the registry.
async fn wanted_package(
    options: &BuildOptions,
    architecture: &str,
    progress: &mut impl FnMut(BuildStep),
) -> Result<Package, ImageError> {
    let known = versions();
    let name = known.package_name(architecture)?;
    let spec = match options.claude.number() {
        Some(version) => {
            wanted::check(version)?;
            if let Some(package) = known.tested_package(version, architecture)? {
                return Ok(package);
            }
            version.to_string()
        }
        None => "latest".to_owned(),
    };
    progress(BuildStep::LookingUp(format!("{name}@{spec}")));
    let package = npm::view(name, &spec, &options.network).await?;
    wanted::check(package.version)?;
    match known.tested_package(package.version, architecture)? {
        Some(tested) if tested.integrity != package.integrity => Err(ImageError::HashChanged {
            package: package.to_string(),
            expected: tested.integrity,
            found: package.integrity,
        }),
        Some(_) | None => Ok(package),
    }
}

/// Asks the program in a new image for its version.
async fn verify(engine: &dyn Engine, id: &str, name: &str, package: &Package) -> Result<(), ImageError> {
    match ask_version(engine, id, AskedIn::default()).await {
        Ok(version) if version == package.version => Ok(()),
        Ok(found) => Err(ImageError::OtherVersion { name: name.to_owned(), expected: package.to_string(), found }),
        Err(source) => Err(ImageError::Unusable { name: name.to_owned(), source }),
    }
}

/// The name of an image until it has been verified.
fn unverified_name() -> String {
    format!("claude-runner-unverified:{:08x}", rand::random::<u32>())
}

impl BuildOptions {
    /// The name of the image that is built.
    pub fn name(&self) -> &str {
        if self.repository { &self.repository_tag } else { &self.tag }
    }

    /// The engine knows the arguments of proxies by their names. They do not become a part of the image.
    fn build_args(&self, base_image: &str) -> BTreeMap<String, String> {
        let proxies = self.network.proxy_variables().into_iter();
        let proxies = proxies.map(|(name, value)| (name.to_owned(), value));
        proxies.chain([("BASE_IMAGE".to_owned(), base_image.to_owned())]).collect()
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
    name: &str,
    progress: &mut impl FnMut(BuildStep),
) -> Result<String, ImageError> {
    let mut stream = engine.build_image(spec).await?;
    while let Some(step) = stream.next().await {
        match step {
            Ok(BuildProgress::Line(line)) => progress(BuildStep::Line(line)),
            Ok(BuildProgress::Built(id)) => return Ok(id),
            Err(EngineError::BuildFailed { reason, .. }) => return Err(build_failed(name, reason).into()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(build_failed(name, "the engine stopped without a result".to_owned()).into())
}

/// The error names the image that its caller knows.
fn build_failed(name: &str, reason: String) -> EngineError {
    EngineError::BuildFailed { tag: name.to_owned(), reason }
}

fn labels(content: String, package: &Package, network: &NetworkAccess) -> Labels {
    let own = [
        (CONTENT_LABEL.to_owned(), content),
        (CLAUDE_CODE_LABEL.to_owned(), package.version.to_string()),
        (SANDBOX_INIT_LABEL.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    own.into_iter().chain(authorities::label(network)).collect()
}

fn dockerfile(network: &NetworkAccess) -> String {
    let authorities = if network.ca_file().is_some() { authorities::DOCKERFILE } else { "" };
    format!("{DOCKERFILE}{authorities}")
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
    let dockerfile = dockerfile(&options.network);
    let certificates = options.network.own_certificates();
    let texts = [&dockerfile, MANAGED_SETTINGS, &package.integrity, &options.base_image, base];
    let texts = texts.into_iter().chain(certificates.iter().map(String::as_str));
    hash_of(&texts.map(str::as_bytes).collect::<Vec<_>>(), sandbox_init.bytes())
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
    let cache = options.cache_dir.as_ref().ok_or(ImageError::NoCacheDirectory)?;
    Ok(cache.join("claude-runner"))
}

#[cfg(test)]
mod tests;
