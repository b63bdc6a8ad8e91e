//! The lease of an engine on another machine.

use std::sync::Arc;

use engine::Engine;
use sandbox::{EngineLease, Instance, LeaseHeld};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServeOptions;

/// Keeps the lease of an engine elsewhere. An engine on this machine needs none.
pub(super) struct LeaseKeeper {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when another server has taken the lease.
    pub(super) lost: CancellationToken,
}

impl LeaseKeeper {
    pub(super) async fn start(
        options: &ServeOptions,
        engine_address: &str,
        engine: Arc<dyn Engine>,
        instance: &Instance,
    ) -> Result<Self, LeaseHeld> {
        let keeper =
            LeaseKeeper { tracker: TaskTracker::new(), stop: CancellationToken::new(), lost: CancellationToken::new() };
        if !engine_address.starts_with("unix:") {
            let holder = EngineLease::holder(&options.data_dir);
            let lease = EngineLease::acquire(engine, instance.clone(), holder).await?;
            keeper.tracker.spawn(lease.keep(keeper.stop.clone(), keeper.lost.clone()));
        }
        Ok(keeper)
    }

    /// Releases the engine to another server at once.
    pub(super) async fn release(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
