//! `claude-runner image`: builds the images, and prints what the package managers in one of them are configured for.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agent_image::{BuildOptions, BuildOutcome, BuildStep, Change, Support, WantedVersion, build, versions};
use clap::{Args, Subcommand};
use engine::Engine;
use indicatif::{ProgressBar, ProgressStyle};
use network_access::NetworkError;

use crate::network::{Environment, NetworkOptions};

#[derive(Subcommand)]
pub enum ImageCommand {
    /// Build the agent image, or with --repository the image of repository tasks, through the container engine
    Build(Box<BuildArguments>),
    /// Print the hosts that the package managers of the image of repository tasks are configured for, as a file for
    /// EGRESS_PRESETS_FILE
    Presets(PresetArguments),
}

#[derive(Args)]
pub struct BuildArguments {
    /// Build the image of repository tasks instead, from the existing agent image
    #[arg(long)]
    repository: bool,

    /// Name of the agent image
    #[arg(long, env = "DOCKER_IMAGE", value_name = "NAME", default_value = "claude-runner")]
    tag: String,

    /// Name of the image of repository tasks
    #[arg(long, env = "REPOSITORY_IMAGE", value_name = "NAME", default_value = "claude-runner-repository")]
    repository_tag: String,

    /// Image to start from: Debian, or one that has its package manager
    #[arg(long, value_name = "NAME", default_value = "debian:bookworm-slim")]
    base_image: String,

    /// Version of Claude Code, like 2.1.332, or `latest` for the newest in the registry. npm asks the registry for the hash
    /// of a version that was not tested with this release [default: the default of this release]
    #[arg(long, env = "CLAUDE_VERSION", value_name = "VERSION", default_value = "", hide_default_value = true)]
    claude: WantedVersion,

    /// Claude Code's npm package (.tgz) for the engine's machine, instead of fetching it with npm; its hash is checked
    /// too
    #[arg(long, value_name = "FILE")]
    claude_package: Option<PathBuf>,

    /// A static sandbox-init for the engine's machine, instead of the one built into this program
    #[arg(long, value_name = "FILE")]
    sandbox_init: Option<PathBuf>,

    /// Keep the downloaded package here [default: ~/.cache]
    #[arg(long, env = "XDG_CACHE_HOME", hide_env = true, value_name = "DIRECTORY")]
    cache_dir: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkOptions,

    /// Rebuild every layer, even if the image is up to date
    #[arg(long)]
    no_cache: bool,
}

#[derive(Args)]
pub struct PresetArguments {
    /// The image of repository tasks
    #[arg(long, env = "REPOSITORY_IMAGE", value_name = "NAME", default_value = "claude-runner-repository")]
    image: String,
}

/// The interval between two frames of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// Characters of an image's id that people compare.
const SHORT_ID: usize = "sha256:".len() + 12;

pub(super) async fn run(
    engine: &dyn Engine,
    environment: Environment,
    command: ImageCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        ImageCommand::Build(arguments) => build_with_progress(engine, &arguments.options(environment)?).await?,
        ImageCommand::Presets(arguments) => {
            let presets = agent_image::presets(engine, &arguments.image).await?;
            io::stdout().write_all(presets.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl BuildArguments {
    fn options(self, environment: Environment) -> Result<BuildOptions, NetworkError> {
        let given = self.cache_dir.filter(|directory| !directory.as_os_str().is_empty());
        Ok(BuildOptions {
            network: self.network.access(environment)?,
            repository: self.repository,
            tag: self.tag,
            repository_tag: self.repository_tag,
            base_image: self.base_image,
            claude: self.claude,
            claude_package: self.claude_package,
            sandbox_init: self.sandbox_init,
            cache_dir: given.or_else(|| environment("HOME").map(|home| Path::new(&home).join(".cache"))),
            no_cache: self.no_cache,
        })
    }
}

/// Builds the image and reports the progress on stderr: one changing line on a terminal, plain lines elsewhere.
async fn build_with_progress(engine: &dyn Engine, options: &BuildOptions) -> anyhow::Result<()> {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(TICK);
    let outcome = build(engine, options, |progress| show(&spinner, progress)).await;
    spinner.finish_and_clear();

    let BuildOutcome { id, change, claude } = outcome?;
    let what = match change {
        Change::Built => "built",
        Change::UpToDate => "up to date",
    };
    let with = claude.map(|version| format!(" with Claude Code {version}")).unwrap_or_default();
    say(&format!("image {} is {what} ({}){with}", options.name(), id.get(..SHORT_ID).unwrap_or(&id)));
    if let Some(version) = claude.filter(|version| versions().support(*version) == Support::Untested) {
        say(&format!(
            "Claude Code {version} is untested with this release, which was tested with {}",
            versions().tested_list()
        ));
    }
    Ok(())
}

fn show(spinner: &ProgressBar, progress: BuildStep) {
    let line = match progress {
        BuildStep::LookingUp(package) => format!("asking the registry for {package}"),
        BuildStep::Asking => "asking the new image for its version of Claude Code".to_owned(),
        BuildStep::Fetching(package) => format!("fetching {package} with npm"),
        BuildStep::Building => "building the image".to_owned(),
        BuildStep::Line(line) => line,
    };
    // Indicatif hides everything if stderr is not a terminal.
    if spinner.is_hidden() {
        say(&line);
    } else {
        spinner.set_message(line.replace('\n', " "));
    }
}

fn say(line: &str) {
    // A closed stderr is ignored.
    drop(writeln!(io::stderr(), "{line}"));
}
