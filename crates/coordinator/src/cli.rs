//! The command line.
#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

mod abort;
mod agents;
mod doctor;
mod exit;
mod export;
mod follow;
mod image;
mod init;
mod key;
mod lists;
mod logs;
mod pages;
mod rekey;
mod remote;
mod retry;
mod serve;
mod sessions;
mod show;
mod table;
mod task;
mod tasks;
mod terminal;
mod tools;
mod usage;
mod watch;
mod webhooks;

use std::io;
use std::process::ExitCode;

use agent_template::TemplateError;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use gateway::PricesError;

use crate::config::{self, ConfigError, ServeOptions};

pub use exit::Exit;
use exit::Misuse;
use remote::RemoteError;

const ENVIRONMENT: &str = "Commands that talk to a server find it by CLAUDE_RUNNER_URL and show it CLAUDE_RUNNER_KEY. \
                           These and every setting of `serve` may also stand in .env.";

#[derive(Parser)]
#[command(
    name = "claude-runner",
    version,
    about = "Claude Code behind an HTTP API, each session in its own container",
    after_help = ENVIRONMENT
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeOptions>),
    /// Make an agent template: by questions, by flags, or as a copy
    Init(init::InitOptions),
    /// Send a message to a session, or a prompt for a repository; follow it live and print the answer
    Task(Box<task::TaskOptions>),
    /// Send a task once more that has ended, follow it live and print the answer
    Retry(retry::RetryOptions),
    /// List tasks, or show one
    Tasks(tasks::TasksOptions),
    /// Show what a task did, or does
    Logs(logs::LogsOptions),
    /// End what a session does, or one task
    Abort(abort::AbortOptions),
    /// List sessions; show, reset or delete one
    Sessions(sessions::SessionsOptions),
    /// List the agents that a new session can have
    Agents(agents::AgentsOptions),
    /// List deliveries of webhooks; deliver one once more
    Webhooks(webhooks::WebhooksOptions),
    /// Write down a session or a task: events, transcript, files
    Export(export::ExportOptions),
    /// Show what was used and what it cost
    Usage(usage::UsageOptions),
    /// Look whether the server can run here, and say what to do where it cannot
    Doctor(Box<doctor::DoctorOptions>),
    /// API keys: who may call the server, and what for
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::KeyCommand),
    /// Seal the store's secrets with a new key; the server must not run
    Rekey(rekey::RekeyOptions),
    /// Make shell tools for an agent of a browser's recording or an OpenAPI document
    #[command(subcommand)]
    Tools(tools::ToolsCommand),
    /// The images: of agents, and of repository tasks
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Print what a shell needs to complete these commands
    Completions(pages::CompletionsOptions),
    /// Print the manual page
    Man(pages::ManOptions),
}

/// All commands with their flags, for what is made of them and compared with them.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs what the arguments say.
pub fn run() -> ExitCode {
    if let Err(error) = config::load_env_file() {
        eprintln!("error: could not read .env: {error}");
        return Exit::Usage.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return Exit::Failed.into();
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(*options).await,
            Command::Init(options) => init::run(&options),
            Command::Task(options) => task::run(*options).await,
            Command::Retry(options) => retry::run(options).await,
            Command::Tasks(options) => tasks::run(options).await,
            Command::Logs(options) => logs::run(options).await,
            Command::Abort(options) => abort::run(options).await,
            Command::Sessions(options) => sessions::run(options).await,
            Command::Agents(options) => agents::run(options).await,
            Command::Webhooks(options) => webhooks::run(options).await,
            Command::Export(options) => export::run(options).await,
            Command::Usage(options) => usage::run(options).await,
            Command::Doctor(options) => doctor::run(*options).await,
            Command::Key(command) => key::run(command),
            Command::Rekey(options) => rekey::run(&options),
            Command::Tools(command) => tools::run(command),
            Command::Image(command) => image::run(command).await,
            Command::Completions(options) => pages::completions(&options, command()),
            Command::Man(options) => pages::man(&options, command()),
        }
    });
    done.unwrap_or_else(|error| failed(&error))
}

/// Says why, and what it means for the caller.
fn failed(error: &anyhow::Error) -> ExitCode {
    // Whoever reads the output, like `head`, has seen enough.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Done.into();
    }
    // A server says what it likes.
    eprintln!("error: {}", terminal::printable(&format!("{error:#}")));
    if let Some(error) = error.downcast_ref::<RemoteError>() {
        return error.exit().into();
    }
    // A setting that names something unusable is a wrong setting.
    let setting = error.is::<ConfigError>() || error.is::<TemplateError>() || error.is::<PricesError>();
    if setting || error.is::<Misuse>() { Exit::Usage } else { Exit::Failed }.into()
}

/// Prints what clap has to say. A bad value may have come from the environment, so the variable is named too.
fn explain(mut error: clap::Error) -> ExitCode {
    let variable = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(ContextValue::String(flag))) => {
            variable_of(&command(), flag)
        }
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
    if error.use_stderr() { Exit::Usage } else { Exit::Done }.into()
}

/// The variable that means the same as a flag, given as clap shows it: `--port <PORT>`.
fn variable_of(command: &clap::Command, flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?.split([' ', '=']).next()?;
    let own =
        command.get_arguments().find(|argument| argument.get_long() == Some(name) && argument.get_env().is_some());
    match own.and_then(clap::Arg::get_env) {
        Some(variable) => Some(variable.to_string_lossy().into_owned()),
        None => command.get_subcommands().find_map(|command| variable_of(command, flag)),
    }
}
