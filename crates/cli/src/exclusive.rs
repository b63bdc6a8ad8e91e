//! Keeps the servers of an installation away while a command changes what belongs to it.

use std::path::Path;

use engine::{Engine, EngineError};
use sandbox::{EngineLease, Instance, InstanceLockError, LeaseHeld, LeaseHolder, MachineLock};
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub(super) enum ExclusiveError {
    #[error("a server of this installation runs on this machine")]
    OnMachine,
    #[error("a server of this installation uses this engine, on another machine or in a container")]
    OnEngine,
    #[error("the engine does not report whether another server uses it")]
    Engine(#[source] EngineError),
    #[error("DATA_DIR cannot be used")]
    DataDir(#[source] std::io::Error),
    #[error("this installation cannot be locked")]
    Lock(#[source] InstanceLockError),
}

/// No server of the installation starts on this machine or on the engine while the value exists.
pub(super) struct ExclusiveAccess<'a> {
    _machine: MachineLock,
    lease: EngineLease<&'a dyn Engine>,
}

impl<'a> ExclusiveAccess<'a> {
    /// The caller checks that no server runs on `data_dir`: the lease of such a server counts as this command's. If a server was
    /// killed elsewhere, this waits for at most a minute until its lease has expired.
    pub(super) async fn acquire(
        engine: &'a dyn Engine,
        instance: &Instance,
        data_dir: &Path,
    ) -> Result<Self, ExclusiveError> {
        let machine = MachineLock::acquire(instance).map_err(|error| match error {
            InstanceLockError::Running => ExclusiveError::OnMachine,
            error => ExclusiveError::Lock(error),
        })?;
        let holder = LeaseHolder::of_command(data_dir).map_err(ExclusiveError::DataDir)?;
        if EngineLease::is_foreign(engine, instance, &holder).await.map_err(ExclusiveError::Engine)? {
            eprintln!(
                "another server of this installation used the engine; waiting for at most a minute until its lease expires"
            );
        }
        let lease = EngineLease::acquire(engine, instance.clone(), holder).await;
        Ok(ExclusiveAccess { _machine: machine, lease: lease.map_err(|LeaseHeld| ExclusiveError::OnEngine)? })
    }

    /// Does the work, and renews the lease meanwhile. If another server takes the lease, the work is dropped.
    pub(super) async fn run<T>(self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let lost = CancellationToken::new();
        let work = lost.run_until_cancelled(work);
        self.keep_during(work, &lost).await.unwrap_or_else(|| Err(ExclusiveError::OnEngine.into()))
    }

    /// Does work that cannot be dropped, and renews the lease meanwhile. The second value is true if another server has taken
    /// the lease.
    pub(super) async fn run_to_end<T>(self, work: impl Future<Output = T>) -> (T, bool) {
        let lost = CancellationToken::new();
        let done = self.keep_during(work, &lost).await;
        (done, lost.is_cancelled())
    }

    async fn keep_during<T>(self, work: impl Future<Output = T>, lost: &CancellationToken) -> T {
        let stop = CancellationToken::new();
        let work = async {
            let done = work.await;
            stop.cancel();
            done
        };
        let (done, ()) = tokio::join!(work, self.lease.keep(stop.clone(), lost.clone()));
        done
    }
}
