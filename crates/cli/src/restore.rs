//! `claude-runner restore`: puts a backup into DATA_DIR.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use engine::Engine;
use sandbox::Instance;
use store::{LockHolder, Restored, RestoredAs, StoreError, installation, restore};

use super::exclusive::{ExclusiveAccess, ExclusiveError};

const EXAMPLES: &str = "\
Examples:
  claude-runner restore backup/
  claude-runner restore backup/claude-runner.db --data-dir ./second --as-new

A backup is a database, or a directory with claude-runner.db. Files `instance` and `secret.key` beside the database are restored too.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RestoreOptions {
    /// The backup
    backup: PathBuf,

    /// Make a new installation with the records, and without the files of the sessions. It touches nothing of the original,
    /// which may run. Tasks that had not ended are aborted in it
    #[arg(long)]
    as_new: bool,

    /// Directory of the store
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,

    /// File of the key that seals secrets in the store [default: secret.key in `DATA_DIR`]
    #[arg(long, env = "SECRET_KEY_FILE")]
    secret_key_file: Option<PathBuf>,
}

pub(super) async fn run(engine: &dyn Engine, options: RestoreOptions) -> anyhow::Result<ExitCode> {
    let RestoreOptions { backup, as_new, data_dir, .. } = &options;
    // The lease of a server on this DATA_DIR would count as this command's.
    if let Ok(Some(holder)) = store::holder(data_dir) {
        return Err(in_use(&options, &holder));
    }
    let name = if *as_new { None } else { installation(backup, data_dir)? };
    let Some(name) = name else { return put_back(&options) };
    match ExclusiveAccess::acquire(engine, &Instance::named(&name), data_dir).await {
        Ok(access) => {
            let restoring = tokio::task::spawn_blocking(move || put_back(&options));
            let (restored, lost) = access.run_to_end(restoring).await;
            if lost {
                eprintln!(
                    "warning: {} since this restore began: stop that server before you start this one",
                    ExclusiveError::OnEngine
                );
            }
            restored?
        }
        Err(error @ (ExclusiveError::OnMachine | ExclusiveError::OnEngine)) => {
            bail!("{}", stop_first(&error.to_string()))
        }
        // A backup must be restored even where the engine is lost. A server that runs elsewhere keeps its engine.
        Err(error @ ExclusiveError::Engine(_)) => {
            eprintln!("warning: {}", domain::error_chain(&error));
            put_back(&options)
        }
        Err(error) => Err(error.into()),
    }
}

fn in_use(options: &RestoreOptions, holder: &LockHolder) -> anyhow::Error {
    match holder {
        LockHolder::Command { .. } => {
            anyhow::anyhow!("{holder} uses this DATA_DIR: call restore again when it has ended")
        }
        LockHolder::Server { .. } if options.as_new => {
            let data_dir = options.data_dir.display();
            anyhow::anyhow!("a server runs on {data_dir}: --as-new needs a DATA_DIR of its own (--data-dir)")
        }
        LockHolder::Server { .. } => anyhow::anyhow!("{}", stop_first("a server runs on this DATA_DIR")),
    }
}

fn put_back(options: &RestoreOptions) -> anyhow::Result<ExitCode> {
    let RestoreOptions { backup, as_new, data_dir, secret_key_file } = options;
    let restored_as = if *as_new { RestoredAs::New } else { RestoredAs::Original };
    let done = restore(backup, data_dir, secret_key_file.as_deref(), restored_as).map_err(|error| match error {
        StoreError::Locked { holder, .. } => in_use(options, &holder),
        error @ StoreError::HalfRestored { .. } => error.into(),
        error => anyhow::Error::from(error).context("nothing was restored"),
    });
    let Restored { sessions, tasks, replaced } = done?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "Restored {sessions} sessions and {tasks} tasks into {}.", data_dir.display())?;
    if let Some(replaced) = replaced {
        writeln!(stdout, "The earlier database is in {}.", replaced.display())?;
    }
    if *as_new {
        writeln!(stdout, "It is a new installation: start its server with this DATA_DIR and a PORT of its own.")?;
    } else {
        writeln!(stdout, "Start the server. `claude-runner doctor` lists volumes that are not in the backup.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn stop_first(found: &str) -> String {
    format!(
        "{found}: stop it first, then call restore again; or make a second installation with --as-new and a --data-dir of \
         its own"
    )
}
