//! The lease of the engine.

use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, GatedEngine};
use sandbox::{EngineLease, EnginePlace, Instance, LeaseHeld, LeaseHolder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The time in which an engine on this machine answers if it is there. A server whose engine is not there yet starts without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The machine on which an engine with this address runs. The socket may lead elsewhere, for example through ssh: then the lease still
/// excludes a server on another machine, except on a clone of this one.
pub(super) fn place_of(engine_address: &str) -> EnginePlace {
    if engine_address.starts_with("unix:") { EnginePlace::Here } else { EnginePlace::Elsewhere }
}

/// Keeps the lease of the engine.
#[derive(Default)]
pub(super) struct LeaseKeeper {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when another server has taken the lease.
    pub(super) lost: CancellationToken,
}

impl LeaseKeeper {
    /// Takes the lease, and returns the engine to use. If an engine on this machine does not answer yet, nothing on it is used until
    /// the lease has been taken.
    pub(super) async fn start(
        place: EnginePlace,
        holder: LeaseHolder,
        engine_address: &str,
        engine: Arc<dyn Engine>,
        instance: &Instance,
    ) -> Result<(Self, Arc<dyn Engine>), LeaseHeld> {
        let keeper = LeaseKeeper::default();
        let (stop, lost) = (keeper.stop.clone(), keeper.lost.clone());
        let look = EngineLease::is_foreign(Arc::clone(&engine), instance, &holder);
        let answers = matches!(tokio::time::timeout(PATIENCE, look).await, Ok(Ok(_)));
        let acquire = EngineLease::acquire(Arc::clone(&engine), instance.clone(), holder);
        if answers || place == EnginePlace::Elsewhere {
            let lease = acquire.await?;
            keeper.tracker.spawn(lease.keep(stop, lost));
            return Ok((keeper, engine));
        }
        let engine = GatedEngine::new(engine, engine_address);
        let gate = engine.gate();
        keeper.tracker.spawn(async move {
            match stop.run_until_cancelled(acquire).await {
                Some(Ok(lease)) => {
                    gate.open();
                    lease.keep(stop, lost).await;
                }
                Some(Err(LeaseHeld)) => lost.cancel(),
                None => {}
            }
        });
        Ok((keeper, Arc::new(engine)))
    }

    /// Releases the engine to another server at once.
    pub(super) async fn release(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Engine, FakeEngine, Labels, Operation};
    use sandbox::{EnginePlace, Instance, LeaseHolder};

    use super::{LeaseKeeper, place_of};

    const ADDRESS: &str = "unix:///engine.sock";

    async fn start(engine: &FakeEngine, data_dir: &tempfile::TempDir) -> (LeaseKeeper, Arc<dyn Engine>) {
        let holder = LeaseHolder::of(data_dir.path(), place_of(ADDRESS)).unwrap();
        let instance = Instance::named("0123abcd");
        let engine = Arc::new(engine.clone());
        LeaseKeeper::start(EnginePlace::Here, holder, ADDRESS, engine, &instance)
            .await
            .unwrap_or_else(|_| panic!("held"))
    }

    async fn leases(engine: &FakeEngine) -> usize {
        engine
            .list_volumes(&Labels::from([("claude-runner.lease".to_owned(), "0123abcd".to_owned())]))
            .await
            .unwrap()
            .len()
    }

    #[tokio::test]
    async fn a_server_on_this_machine_has_the_lease_too_and_releases_it() {
        let (engine, data_dir) = (FakeEngine::new(&[]), tempfile::tempdir().unwrap());
        let (keeper, _engine) = start(&engine, &data_dir).await;
        assert_eq!(leases(&engine).await, 1);
        // A server that was killed starts again at once on its own directory.
        drop(keeper);
        let (keeper, _engine) = start(&engine, &data_dir).await;
        keeper.release().await;
        assert_eq!(leases(&engine).await, 0);
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_yet_is_not_used_before_its_lease_is_taken() {
        let (engine, data_dir) = (FakeEngine::new(&[]), tempfile::tempdir().unwrap());
        engine.go_away();
        let (keeper, gated) = start(&engine, &data_dir).await;
        engine.hang(Operation::CreateVolume);
        engine.come_back();
        engine.list_containers(&Labels::new()).await.unwrap();
        assert!(gated.list_containers(&Labels::new()).await.is_err());
        engine.release(Operation::CreateVolume);
        while gated.list_containers(&Labels::new()).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(leases(&engine).await, 1);
        keeper.release().await;
        assert_eq!(leases(&engine).await, 0);
    }
}
