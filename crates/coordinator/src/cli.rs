//! The command line.
#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

mod doctor;
mod key;
mod rekey;
mod serve;
mod task;
mod usage;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::agent::TemplateError;
use crate::config::{self, ConfigError, ServeOptions};
use crate::gateway::PricesError;
use crate::image::{BuildOptions, PresetOptions};

/// Exit code of a command that was called wrongly or whose settings are wrong (EX_USAGE of sysexits).
const USAGE: u8 = 64;

#[derive(Parser)]
#[command(name = "claude-runner", version, about = "Claude Code behind an HTTP API, each session in its own container")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeOptions>),
    /// Send a message to a session, follow it live and print the answer
    Task(task::TaskOptions),
    /// Show what was used and what it cost
    Usage(usage::UsageOptions),
    /// Look whether the server can run here: engine, image, directories, port, credential, clock
    Doctor(Box<doctor::DoctorOptions>),
    /// API keys: who may call the server, and what for
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Seal the store's secrets with a new key; the server must not run
    Rekey(rekey::RekeyOptions),
    /// The images: of agents, and of repository tasks
    #[command(subcommand)]
    Image(ImageCommand),
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Build the agent image, or with --repository the image of repository tasks, through the container engine
    Build(BuildOptions),
    /// Print the hosts that the package managers of the image of repository tasks are configured for, as a file for
    /// EGRESS_PRESETS_FILE
    Presets(PresetOptions),
}

/// Runs what the arguments say.
pub fn run() -> ExitCode {
    if let Err(error) = config::load_env_file() {
        eprintln!("error: could not read .env: {error}");
        return ExitCode::from(USAGE);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(*options).await,
            Command::Task(options) => task::run(options).await,
            Command::Usage(options) => usage::run(options).await,
            Command::Doctor(options) => doctor::run(*options).await,
            Command::Key(command) => key::run(command),
            Command::Rekey(options) => rekey::run(&options),
            Command::Image(ImageCommand::Build(options)) => build_image(options).await,
            Command::Image(ImageCommand::Presets(options)) => print_presets(options).await,
        }
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        // A setting that names something unusable is a wrong setting.
        let setting = error.is::<ConfigError>() || error.is::<TemplateError>() || error.is::<PricesError>();
        ExitCode::from(if setting { USAGE } else { 1 })
    })
}

async fn build_image(options: BuildOptions) -> anyhow::Result<ExitCode> {
    let engine = container_engine::DockerEngine::from_environment();
    crate::image::run(&engine, &options).await?;
    Ok(ExitCode::SUCCESS)
}

async fn print_presets(options: PresetOptions) -> anyhow::Result<ExitCode> {
    let engine = container_engine::DockerEngine::from_environment();
    let presets = crate::image::presets(&engine, &options).await?;
    std::io::stdout().write_all(presets.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what clap has to say. A bad value may have come from the environment, so the variable is named too: its name is
/// the flag's in capitals.
fn explain(mut error: clap::Error) -> ExitCode {
    let variable = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(ContextValue::String(flag))) => variable_of(flag),
        _ => None,
    };
    // Logs keep what a start that failed has printed.
    if variable.as_deref() == Some("API_KEYS") {
        error.insert(ContextKind::InvalidValue, ContextValue::String("[hidden]".to_owned()));
    }
    let _ = error.print();
    if let Some(name) = variable {
        eprintln!("The value comes from the flag, from the environment variable {name}, or from .env.");
    }
    ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
}

fn variable_of(flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?.split([' ', '=']).next()?;
    Some(name.replace('-', "_").to_ascii_uppercase())
}
