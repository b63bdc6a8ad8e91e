//! `claude-runner retry`: submits the same task again.

use std::process::ExitCode;

use anyhow::Context as _;
use api_types::task::{Accepted, Task};
use clap::Args;

use super::remote::{Answered, RemoteError, RemoteOptions};
use super::watch::{WatchOptions, watch};

const EXAMPLES: &str = "\
Examples:
  claude-runner retry 9b8ce1466759d0ec
  claude-runner tasks --status failed --json | jq -r .taskId | xargs -n1 claude-runner retry

Ctrl-C aborts the new task; a second one leaves it to the server.
Exit status: 0 completed, 1 failed, 2 aborted, 64 refused, 69 no server, 75 not now, 77 key";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RetryOptions {
    /// The task, which must have ended. Its message is sent to its session again; a repository task starts again on a branch
    /// of its own
    #[arg(value_name = "TASK")]
    id: String,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    remote: RemoteOptions,
}

/// The exit status shows how the new task ended.
pub(super) async fn run(options: RetryOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let before: Task = remote.get(&["task", &options.id]).await?;
    let accepted: Answered<Accepted> = match remote.post(&["task", &options.id, "retry"]).await {
        // A repeated request could create two tasks.
        Err(error @ RemoteError::Cut { .. }) => {
            return Err(error).context("it may or may not have been accepted; `claude-runner tasks` shows it");
        }
        accepted => accepted?,
    };
    watch(&remote, &accepted, before.kind, &options.watch).await
}
