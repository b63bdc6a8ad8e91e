//! `claude-runner prune`: removes the volumes without a session.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::age::Age;
use engine::{Engine, EngineError};
use jiff::Timestamp;
use sandbox::Instance;
use store::{LockHolder, StoreError};

use super::exclusive::{ExclusiveAccess, ExclusiveError};
use super::volumes::{self, Orphan};

const EXAMPLES: &str = "\
Examples:
  claude-runner prune --dry-run
  claude-runner prune

While the server runs, this removes the volumes that the server found without a session. Without a server, it removes only those whose \
ORPHAN_VOLUME_GRACE is over: the sessions of the others may be in another copy of the store, or in a backup. --all removes them too.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PruneOptions {
    /// Directory of the store
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    data_dir: PathBuf,

    /// How long a volume without a session is kept if no server runs: 7d, 12h or 30m
    #[arg(long, env = "ORPHAN_VOLUME_GRACE", default_value = "7d")]
    orphan_volume_grace: Age,

    /// Remove every volume of the installation without a session in this store, whatever its age. The files of sessions in other
    /// copies of the store are lost
    #[arg(long)]
    all: bool,

    /// List the volumes, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Works with and without a running server. Prints the name of each volume. The exit code is 1 if one could not be removed.
pub(super) async fn run(engine: &dyn Engine, options: PruneOptions) -> anyhow::Result<ExitCode> {
    let data_dir = &options.data_dir;
    if !data_dir.is_dir() {
        bail!("there is no DATA_DIR {}", data_dir.display());
    }
    // If no server runs, none may start before this command ends.
    let lock = match store::occupy(data_dir) {
        Ok(lock) => Some(lock),
        Err(StoreError::Locked { holder: LockHolder::Server { .. }, .. }) => None,
        Err(StoreError::Locked { holder: holder @ LockHolder::Command { .. }, .. }) => {
            bail!("nothing was removed: {holder} uses this DATA_DIR; call prune again when it has ended")
        }
        Err(error) => return Err(anyhow::Error::new(error).context("DATA_DIR cannot be used")),
    };
    let Some(instance) = Instance::existing(data_dir).context("DATA_DIR cannot be used")? else {
        return Ok(ExitCode::SUCCESS);
    };
    if lock.is_none() {
        if options.all {
            eprintln!("a server runs on this DATA_DIR: only the volumes that it found without a session are removed");
        }
        return remove(engine, &options, Scope::Recorded).await;
    }
    let access = ExclusiveAccess::acquire(engine, &instance, data_dir).await.map_err(|error| match error {
        ExclusiveError::OnMachine | ExclusiveError::OnEngine => {
            anyhow::anyhow!("nothing was removed: {error}; call prune with the DATA_DIR of that server, which may have more sessions")
        }
        error => error.into(),
    })?;
    let scope = if options.all { Scope::All } else { Scope::Expired };
    access.run(remove(engine, &options, scope)).await
}

/// The volumes without a session that are removed.
#[derive(Clone, Copy)]
enum Scope {
    /// The volumes that the running server has recorded.
    Recorded,
    /// The recorded volumes whose grace is over, and those of deleted sessions.
    Expired,
    All,
}

impl Scope {
    fn contains(self, orphan: &Orphan, grace: Age, now: Timestamp) -> bool {
        match self {
            Scope::Recorded | Scope::All => true,
            Scope::Expired => orphan.record.as_ref().is_some_and(|record| record.is_expired(grace.duration(), now)),
        }
    }
}

async fn remove(engine: &dyn Engine, options: &PruneOptions, scope: Scope) -> anyhow::Result<ExitCode> {
    let orphans = volumes::orphans(engine, &options.data_dir, matches!(scope, Scope::Recorded)).await?;
    let orphans = orphans.with_context(|| {
        format!(
            "{} has no database of this version: without it every volume would be removed: put a backup of it back with \
             `claude-runner restore`, or start the server once",
            options.data_dir.display()
        )
    })?;
    let now = Timestamp::now();
    let (removed, kept): (Vec<Orphan>, Vec<Orphan>) =
        orphans.into_iter().partition(|orphan| scope.contains(orphan, options.orphan_volume_grace, now));
    let mut failed = false;
    for orphan in removed {
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
        writeln!(io::stdout(), "{}", orphan.name)?;
    }
    if !kept.is_empty() {
        eprintln!(
            "kept, because ORPHAN_VOLUME_GRACE is not over: {}; `claude-runner prune --all` removes them, but call it only if no other \
             copy of the store and no backup has their sessions",
            if kept.len() == 1 { "1 volume".to_owned() } else { format!("{} volumes", kept.len()) }
        );
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use domain::session::SessionKey;
    use engine::{Engine as _, FakeEngine, Labels};
    use jiff::{SignedDuration, Timestamp};
    use sandbox::{EngineLease, EnginePlace, Instance, LeaseHolder};
    use store::{KnownVolume, Store, StoreOptions};
    use tempfile::TempDir;

    use super::{PruneOptions, run};

    /// A data directory whose store has seen the volume `old` for eight days, `new` since now, and `unseen` never.
    async fn world() -> (TempDir, FakeEngine, Instance) {
        let data_dir = tempfile::tempdir().unwrap();
        let store = Store::open(data_dir.path(), StoreOptions::default()).unwrap();
        let instance = Instance::of(data_dir.path()).unwrap();
        let engine = FakeEngine::new(&[]);
        let mut known = Vec::new();
        for (name, days) in [("old", Some(8)), ("new", Some(0)), ("unseen", None)] {
            let session = SessionKey::generate();
            let mut labels = instance.labels();
            labels.insert("claude-runner.session".to_owned(), session.to_string());
            engine.create_volume(name, &labels).await.unwrap();
            if let Some(days) = days {
                known.push(KnownVolume { name: name.to_owned(), session });
                let seen = Timestamp::now() - SignedDuration::from_hours(24 * days);
                store.record_orphan_volumes(known.clone(), seen).await.unwrap();
            }
        }
        store.close().await;
        (data_dir, engine, instance)
    }

    fn options(data_dir: &Path, all: bool) -> PruneOptions {
        let orphan_volume_grace = "7d".parse().unwrap();
        PruneOptions { data_dir: data_dir.to_owned(), orphan_volume_grace, all, dry_run: false }
    }

    async fn volumes(engine: &FakeEngine, instance: &Instance) -> Vec<String> {
        engine.list_volumes(&instance.labels()).await.unwrap().into_iter().map(|volume| volume.name).collect()
    }

    #[tokio::test]
    async fn without_a_server_only_volumes_beyond_their_grace_are_removed() {
        let (data_dir, engine, instance) = world().await;
        run(&engine, options(data_dir.path(), false)).await.unwrap();
        assert_eq!(volumes(&engine, &instance).await, ["new", "unseen"]);
        run(&engine, options(data_dir.path(), true)).await.unwrap();
        assert_eq!(volumes(&engine, &instance).await, [] as [String; 0]);
        assert_eq!(engine.list_volumes(&Labels::new()).await.unwrap(), [], "the lease is left");
    }

    #[tokio::test]
    async fn nothing_is_removed_while_a_server_elsewhere_uses_the_engine() {
        let (data_dir, engine, instance) = world().await;
        let elsewhere = tempfile::tempdir().unwrap();
        let holder = LeaseHolder::of(elsewhere.path(), EnginePlace::Here).unwrap();
        let renewed = async {
            loop {
                EngineLease::acquire(Arc::new(engine.clone()), instance.clone(), holder.clone()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        EngineLease::acquire(Arc::new(engine.clone()), instance.clone(), holder.clone()).await.unwrap();
        let refused = tokio::select! {
            refused = run(&engine, options(data_dir.path(), true)) => refused.unwrap_err(),
            () = renewed => unreachable!(),
        };
        assert!(format!("{refused:#}").contains("a server of this installation uses this engine"), "{refused:#}");
        assert_eq!(volumes(&engine, &instance).await, ["new", "old", "unseen"]);
    }
}
