//! `claude-runner`: its commands, and the exit status of an error.
#![expect(clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::error::Error as _;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use agent_template::TemplateError;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use cli::Exit;
use cli::completions::{self, CompletionsOptions, ManOptions};
use domain::plain;
use engine::Engine;
use gateway::PricesError;

use crate::config::{self, ConfigError, DoctorOptions, ServeOptions};
use crate::trial::{self, TryOptions};
use crate::{env_file, serve};

const ENVIRONMENT: &str = "Commands that talk to a server find it by CLAUDE_RUNNER_URL and show it CLAUDE_RUNNER_KEY. \
                           These and every setting of `serve` may also stand in .env.";

#[derive(Parser)]
#[command(
    name = "claude-runner",
    version,
    about = "Claude Code behind an HTTP API, each session in its own container",
    after_help = ENVIRONMENT
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeOptions>),
    /// Try it: run a server with a sample agent and send it a message, in a temporary directory and with a scripted model if there
    /// is no credential
    Try(TryOptions),
    /// Check whether the server can run here, and name the remedy for each problem
    Doctor(Box<DoctorOptions>),
    #[command(flatten)]
    Other(Box<cli::Command>),
    /// Print completions for a shell
    Completions(CompletionsOptions),
    /// Print the manual page
    Man(ManOptions),
}

/// All commands with their flags. The manual page, the completions and the tests of the documents are made from it.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn arguments(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    parse(command(), words).and_then(|matches| Arguments::from_arg_matches(&matches))
}

/// Parses words with the variables of the environment. A variable that is empty sets nothing: a line `NAME=` of `.env`, of Compose or
/// of a missing secret.
pub(crate) fn parse(
    command: clap::Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, clap::Error> {
    unset_where_empty(command).try_get_matches_from(words)
}

fn unset_where_empty(command: clap::Command) -> clap::Command {
    let is_unset = |argument: &clap::Arg| {
        let name = argument.get_env().and_then(|name| name.to_str());
        name.is_some_and(config::is_unset_by_empty)
    };
    let command = command.mut_args(|argument| if is_unset(&argument) { argument.env(None::<&str>) } else { argument });
    command.mut_subcommands(unset_where_empty)
}

/// Parses the arguments and runs the command.
pub fn run() -> ExitCode {
    let file = config::load_env_file();
    let arguments = match arguments(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return explain(error),
    };
    match file.and_then(|file| env_file::examine(&file, &command())) {
        Ok(warnings) if matches!(arguments.command, Command::Serve(_) | Command::Try(_) | Command::Doctor(_)) => {
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
        }
        Ok(_) => {}
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Usage.into();
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return Exit::Failed.into();
        }
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Serve(options) => Box::pin(serve::run(*options)).await,
            Command::Try(options) => Box::pin(trial::run(options)).await,
            Command::Doctor(options) => {
                let json = options.json;
                cli::doctor::run(options.settings(), json).await
            }
            Command::Other(command) => cli::run(&config::docker_engine(), config::variable, *command).await,
            Command::Completions(options) => completions::completions(&options, command()),
            Command::Man(options) => completions::man(&options, command()),
        }
    });
    done.unwrap_or_else(|error| match error.downcast::<WrongSetting>() {
        Ok(WrongSetting(error)) => explain(error),
        Err(error) => cli::report(&error, is_setting),
    })
}

/// Runs another command in this process, from the words that a person would type after `claude-runner`.
pub(crate) async fn run_words<'a>(
    engine: &dyn Engine,
    words: impl IntoIterator<Item = &'a str>,
) -> anyhow::Result<ExitCode> {
    let words = std::iter::once("claude-runner").chain(words).map(OsString::from);
    match arguments(words).map_err(WrongSetting::from)?.command {
        Command::Other(command) => cli::run(engine, config::variable, *command).await,
        Command::Serve(_) | Command::Try(_) | Command::Doctor(_) | Command::Completions(_) | Command::Man(_) => {
            anyhow::bail!("this command cannot run inside another one")
        }
    }
}

/// A setting in the environment or in `.env` that clap refuses.
#[derive(Debug, thiserror::Error)]
#[error("a setting is wrong")]
pub(crate) struct WrongSetting(#[from] clap::Error);

/// True if the error means that a setting is wrong.
fn is_setting(error: &anyhow::Error) -> bool {
    error.is::<ConfigError>() || error.is::<TemplateError>() || error.is::<PricesError>()
}

/// Prints an error of clap. A bad value may come from the environment, so the variable is named too.
fn explain(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Done.into();
    }
    let variable = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(ContextValue::String(flag))) => {
            variable_of(&command(), flag)
        }
        _ => None,
    };
    // Logs keep the output of a start that failed, so a secret must not be in it.
    if variable.as_ref().is_some_and(|variable| variable.is_secret) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("[hidden]".to_owned()));
    }
    let cause = error.source().map(ToString::to_string);
    let rendered = error.render();
    let mut text = if std::io::stderr().is_terminal() { rendered.ansi().to_string() } else { rendered.to_string() };
    if let Some(cause) = cause {
        text = text.replace(&cause, plain::of_parse(&cause));
    }
    eprint!("{text}");
    if let Some(Variable { name, .. }) = variable {
        eprintln!("The value comes from the flag, from the environment variable {name}, or from .env.");
    }
    Exit::Usage.into()
}

/// The environment variable of a flag.
struct Variable {
    name: String,
    /// The help does not show its value.
    is_secret: bool,
}

/// Finds the variable of a flag in clap's form: `--port <PORT>`.
fn variable_of(command: &clap::Command, flag: &str) -> Option<Variable> {
    let name = flag.strip_prefix("--")?.split([' ', '=']).next()?;
    let own = command.get_arguments().find(|argument| argument.get_long() == Some(name));
    match own.and_then(|argument| Some((argument.get_env()?, argument))) {
        Some((variable, argument)) => Some(Variable {
            name: variable.to_string_lossy().into_owned(),
            is_secret: argument.is_hide_env_values_set(),
        }),
        None => command.get_subcommands().find_map(|command| variable_of(command, flag)),
    }
}
