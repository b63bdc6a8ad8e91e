//! `claude-runner prune`: removes the volumes that no session has.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use engine::{Engine, EngineError};
use sandbox::{Instance, InstanceLock};
use store::StoreError;

use super::volumes;

const EXAMPLES: &str = "\
Examples:
  claude-runner prune --dry-run
  claude-runner prune

The server keeps such volumes for ORPHAN_VOLUME_GRACE: their sessions may be in another copy of the store, or in a backup.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PruneOptions {
    /// Directory of the store
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,

    /// List the volumes, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Works with and without a running server. Prints the name of each volume. The exit code is 1 if one could not be removed.
pub(super) async fn run(engine: &dyn Engine, options: PruneOptions) -> anyhow::Result<ExitCode> {
    let data_dir = &options.data_dir;
    let missing =
        "without its database every volume would be removed: put a backup of it back with `claude-runner restore`";
    if !data_dir.is_dir() {
        bail!("there is no DATA_DIR {}", data_dir.display());
    }
    // If no server runs, none may start before this command ends.
    let lock = match store::occupy(data_dir) {
        Ok(lock) => Some(lock),
        Err(StoreError::Locked { .. }) => None,
        Err(error) => return Err(anyhow::Error::new(error).context("DATA_DIR cannot be used")),
    };
    if lock.is_some()
        && let Some(instance) = Instance::existing(data_dir).context("DATA_DIR cannot be used")?
        && InstanceLock::is_held(&instance)
    {
        bail!(
            "a server of this installation runs on another DATA_DIR, which may know more sessions: use that DATA_DIR"
        );
    }
    let orphans = volumes::orphans(engine, data_dir, lock.is_none()).await?;
    let orphans = orphans.with_context(|| {
        format!("{} has no database of this version: {missing}, or start the server once", data_dir.display())
    })?;
    let mut stdout = io::stdout().lock();
    let mut failed = false;
    for orphan in orphans {
        if !options.dry_run
            && let Err(error) = engine.remove_volume(&orphan.name).await
        {
            failed = true;
            let reason = match error {
                EngineError::Conflict { .. } => "a container uses it".to_owned(),
                error => error.to_string(),
            };
            eprintln!("{}: not removed: {reason}", orphan.name);
            continue;
        }
        writeln!(stdout, "{}", orphan.name)?;
    }
    drop(lock);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
