//! `claude-runner logs`: shows the log of one task, for people or for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;

use super::exit::Exit;
use super::follow::{Follow, Step, lines_of};
use super::remote::{Remote, RemoteOptions};
use super::show::Show;
use super::terminal;

const EXAMPLES: &str = "\
Examples:
  claude-runner logs 9b8ce1466759d0ec
  claude-runner logs -f 9b8ce1466759d0ec
  claude-runner logs --json 9b8ce1466759d0ec | jq 'select(.type == \"tool_start\").input'";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LogsOptions {
    /// The task
    #[arg(value_name = "TASK")]
    id: String,

    /// Follow the log until the task ends, even across a restart of the server
    #[arg(long, short)]
    follow: bool,

    /// The events, one JSON object a line
    #[arg(long, conflicts_with = "raw")]
    json: bool,

    /// Claude Code's own lines
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: LogsOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    if options.raw {
        raw(&remote, &options).await?;
        return Ok(Exit::Done.into());
    }
    let mut follow = Follow::task(&remote, &options.id, options.follow).await?;
    let mut show = Show::log();
    while let Some(step) = follow.next().await? {
        match step {
            Step::Event { line, .. } if options.json => {
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{}", terminal::json_line(&line))?;
                stdout.flush()?;
            }
            Step::Event { event, .. } => show.event(&event)?,
            Step::Away(error) if options.follow => writeln!(io::stderr(), "{error}; waiting for it to come back")?,
            Step::Away(error) => return Err(error.into()),
        }
    }
    Ok(Exit::Done.into())
}

/// Prints the lines as they arrive, until the server closes the connection.
async fn raw(remote: &Remote, options: &LogsOptions) -> anyhow::Result<()> {
    let follow = ("follow", if options.follow { "1" } else { "0" });
    let request = remote.request(Method::GET, &["task", &options.id, "logs"], &[follow])?;
    let mut lines = lines_of(remote.stream(request, "text/plain").await?);
    while let Some(line) = lines.next_line().await.map_err(|error| remote.cut(&error))? {
        writeln!(io::stdout(), "{}", terminal::json_line(&line))?;
    }
    Ok(())
}
