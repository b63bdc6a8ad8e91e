//! `claude-runner abort`: aborts a task, or all tasks of a session.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::task::Aborted;
use clap::Args;
use reqwest::Method;

use super::exit::Exit;
use super::lists;
use super::remote::{Answered, RemoteOptions};

const EXAMPLES: &str = "\
Examples:
  claude-runner abort user-123                      # all that this session runs and has queued
  claude-runner abort --interrupt 9b8ce1466759d0ec  # one task; its container stays

Exit status 1 where there was nothing to end.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AbortOptions {
    /// A session or a task
    id: String,

    /// End the turn and keep the container
    #[arg(long)]
    interrupt: bool,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: AbortOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let mode = ("mode", if options.interrupt { "interrupt" } else { "kill" });
    let request = remote.request(Method::POST, &["task", &options.id, "abort"], &[mode])?;
    let answer: Answered<Aborted> = remote.json(request).await?;
    let aborted = answer.value.aborted;
    if options.json {
        lists::print_lines(std::slice::from_ref(&answer))?;
    } else if aborted {
        writeln!(io::stderr(), "aborted {}", options.id)?;
    } else {
        writeln!(io::stderr(), "there was nothing to end: {} names no session or task that runs or waits", options.id)?;
    }
    Ok(if aborted { Exit::Done } else { Exit::Failed }.into())
}
