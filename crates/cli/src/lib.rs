//! The command line: every command except `serve`, which belongs to the binary.
//!
//! | module | contains |
//! |---|---|
//! | `remote` | the server that a command talks to: its address, the key, its errors as sentences |
//! | `task`, `retry`, `watch`, `follow`, `show` | a task that is sent and followed to its end |
//! | `asks`, `answer` | what agents ask, and the answers |
//! | `tasks`, `sessions`, `agents`, `models`, `webhooks`, `usage`, `logs`, `export`, `abort` | what the server knows |
//! | [`doctor`], `key`, `rekey`, `restore`, `prune`, `image`, `init`, `tools` | what works without a server |
//! | `network` | the proxy and the certificate authorities, as `serve` and `image build` take them |
//! | `volumes` | volumes without a session |
//! | `exclusive` | keeps the servers of an installation away while a command runs |
//! | `table`, `lists`, `terminal` | output |
//! | [`completions`] | completions for shells, and the manual page |
//! | `exit` | the exit statuses |
//!
//! Invariants:
//! - A command that concerns a running server uses the HTTP API. The others get their settings from the binary.
//! - Text of an agent or a server reaches a terminal without control characters.
#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

mod abort;
mod agents;
mod answer;
mod asks;
pub mod completions;
pub mod doctor;
mod exclusive;
mod exit;
mod export;
mod follow;
mod image;
mod init;
mod key;
mod lists;
mod logs;
mod models;
mod network;
mod prune;
mod rekey;
mod remote;
mod restore;
mod retry;
mod sessions;
mod show;
mod table;
mod task;
mod tasks;
mod terminal;
mod tools;
mod usage;
mod volumes;
mod watch;
mod webhooks;

use std::io;
use std::process::ExitCode;

use clap::Subcommand;
use engine::Engine;

pub use exit::Exit;
use exit::Misuse;
pub use network::{Environment, NetworkOptions};
use remote::RemoteError;

/// Every command of this crate that needs nothing but its arguments.
#[derive(Subcommand)]
pub enum Command {
    /// Make an agent template: by questions, by flags, or as a copy
    Init(init::InitOptions),
    /// Send a message to a session, or a prompt for a repository; follow it live and print the answer
    Task(Box<task::TaskOptions>),
    /// Run an ended task again, follow it live and print the answer
    Retry(retry::RetryOptions),
    /// List tasks, or show one
    Tasks(tasks::TasksOptions),
    /// Show a task's log
    Logs(logs::LogsOptions),
    /// Abort a task, or all tasks of a session
    Abort(abort::AbortOptions),
    /// List what agents ask, or show one ask
    Asks(asks::AsksOptions),
    /// Answer what an agent asks
    Answer(answer::AnswerOptions),
    /// List sessions; show, reset or delete one
    Sessions(sessions::SessionsOptions),
    /// List the agents that a new session can have
    Agents(agents::AgentsOptions),
    /// List the models with their prices; fetch the prices again
    Models(models::ModelsOptions),
    /// List deliveries of webhooks; deliver one again
    Webhooks(webhooks::WebhooksOptions),
    /// Export a session or a task: events, transcript, files
    Export(export::ExportOptions),
    /// Show usage and cost
    Usage(usage::UsageOptions),
    /// Manage API keys
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::KeyCommand),
    /// Seal the store's secrets with a new key; the server must not run
    Rekey(rekey::RekeyOptions),
    /// Put a backup of the store into DATA_DIR; the server must not run
    Restore(restore::RestoreOptions),
    /// Remove the engine's volumes that belong to no session
    Prune(prune::PruneOptions),
    /// Make shell tools for an agent from a browser's recording or an OpenAPI document
    #[command(subcommand)]
    Tools(tools::ToolsCommand),
    /// Build the images of agents and of repository tasks
    #[command(subcommand)]
    Image(image::ImageCommand),
}

/// Runs a command to its end. `engine` builds images and contains the volumes. Other commands do not use it.
pub async fn run(engine: &dyn Engine, environment: Environment, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(options) => init::run(&options),
        Command::Task(options) => task::run(*options).await,
        Command::Retry(options) => retry::run(options).await,
        Command::Tasks(options) => tasks::run(options).await,
        Command::Logs(options) => logs::run(options).await,
        Command::Abort(options) => abort::run(options).await,
        Command::Asks(options) => asks::run(options).await,
        Command::Answer(options) => answer::run(options).await,
        Command::Sessions(options) => sessions::run(options).await,
        Command::Agents(options) => agents::run(options).await,
        Command::Models(options) => models::run(options).await,
        Command::Webhooks(options) => webhooks::run(options).await,
        Command::Export(options) => export::run(options).await,
        Command::Usage(options) => usage::run(options).await,
        Command::Key(command) => key::run(command),
        Command::Rekey(options) => rekey::run(&options),
        Command::Restore(options) => restore::run(engine, options).await,
        Command::Prune(options) => prune::run(engine, options).await,
        Command::Tools(command) => tools::run(command),
        Command::Image(command) => image::run(engine, environment, command).await,
    }
}

/// Prints an error and returns its exit status. `is_setting` returns true if a setting is wrong.
pub fn report(error: &anyhow::Error, is_setting: impl FnOnce(&anyhow::Error) -> bool) -> ExitCode {
    // The reader of the output, such as `head`, has closed it.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Done.into();
    }
    // The text may come from a server, so it may contain anything.
    eprintln!("error: {}", terminal::printable(&domain::error_chain(error.as_ref())));
    if let Some(error) = error.downcast_ref::<RemoteError>() {
        return error.exit().into();
    }
    if is_setting(error) || error.is::<Misuse>() { Exit::Usage } else { Exit::Failed }.into()
}
