use std::io;
use std::path::PathBuf;

use domain::claude_code::Version;
use engine::EngineError;

use super::ask::AskError;
use super::versions::versions;

/// The reason why an image could not be built, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error(transparent)]
    Engine(#[from] EngineError),

    #[error("the agent image {0} does not exist: build it first with `claude-runner image build`")]
    NoAgentImage(String),

    #[error("the image of repository tasks {0} does not exist: build it with `claude-runner image build --repository`")]
    NoRepositoryImage(String),

    #[error(
        "{0} does not list the registries of its package managers: build it with `claude-runner image build --repository`"
    )]
    NoPresets(String),

    #[error("Claude Code is used on x86_64 and aarch64, but the engine's machine is {0:?}")]
    Architecture(String),

    #[error("Claude Code {0} is too old: the oldest version that can be used is {minimum}", minimum = versions().minimum)]
    TooOld(Version),

    #[error("the registry has no {package}")]
    NoVersion { package: String },

    #[error(
        "the registry's hash of {package} is {found}, but docker/claude-code.json has {expected}: do not use this package"
    )]
    HashChanged { package: String, expected: String, found: String },

    #[error(
        "the image {0} was not made by this command, so it is not replaced: it has other content than this command builds. \
         Build the agent image with another name (--tag NAME, or unset DOCKER_IMAGE), or remove this one first \
         (docker image rm {0})"
    )]
    Foreign(String),

    #[error("{name} is unchanged: the new image cannot be used")]
    Unusable { name: String, source: AskError },

    #[error("{name} is unchanged: the package was {expected}, but `claude --version` in the new image reports {found}")]
    OtherVersion { name: String, expected: String, found: Version },

    #[error(
        "this claude-runner was built without sandbox-init: run scripts/setup, or pass a static one with --sandbox-init FILE"
    )]
    NoSandboxInit,

    #[error("could not read {path}")]
    Read { path: PathBuf, source: io::Error },

    #[error("{name} cannot be used as sandbox-init: {reason}")]
    SandboxInit { name: String, reason: String },

    #[error("there is no home directory for the fetched package: pass a directory with --cache-dir DIRECTORY")]
    NoCacheDirectory,

    #[error(
        "npm is needed to fetch {package} but was not found: install npm, or pass the package with --claude-package FILE"
    )]
    NoNpm { package: String },

    #[error("npm could not fetch {package}: {reason}")]
    Npm { package: String, reason: String },

    #[error("{path} is not {package}: its hash is {found} instead of {expected}")]
    Integrity { path: PathBuf, package: String, expected: String, found: String },

    #[error("could not prepare the build context")]
    Context(#[source] io::Error),
}
