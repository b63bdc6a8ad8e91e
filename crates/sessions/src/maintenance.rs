//! The maintenance of every minute: it removes orphans and old events, so that the log stays within its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::session::SessionKey;
use jiff::Timestamp;
use store::{KnownVolume, StoreError};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::registry::Registry;

const PERIOD: Duration = Duration::from_mins(1);

const INDEX_DELAY: Duration = Duration::from_secs(1);

/// Runs until the coordinator ends. The first round is at once.
pub async fn run(registry: Registry) {
    let shutdown = registry.context().shutdown.clone();
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let round = async {
            rounds.tick().await;
            remove_orphans(&registry).await;
            prune(&registry).await;
        };
        // A round can be interrupted anywhere, mainly while the engine does not answer: the next start begins with a round.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

/// Indexes new texts for searches until the coordinator ends. The delay collects the texts of many commits, and keeps this work
/// away from the commits of a task that begins.
pub async fn index(registry: Registry) {
    let context = registry.context();
    let work = async {
        loop {
            context.store.texts_changed().await;
            tokio::time::sleep(INDEX_DELAY).await;
            loop {
                let began = Instant::now();
                match context.store.index().await {
                    // Each batch waits for the disk, and so does a commit behind it.
                    Ok(true) => tokio::time::sleep(4 * began.elapsed()).await,
                    Ok(false) => break,
                    Err(StoreError::Closed) => return,
                    Err(error) => {
                        warn!(%error, "could not index tasks for searches yet");
                        tokio::time::sleep(PERIOD).await;
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = work => {}
    }
}

/// Removes the containers and links that no session owns, and the volumes that no session has had for the time of
/// ORPHAN_VOLUME_GRACE.
pub async fn remove_orphans(registry: &Registry) {
    let context = registry.context();
    if let Err(error) = context.sandboxes.remove_orphans().await {
        warn!(%error, "could not look for orphans");
        return;
    }
    // Listed before the store is asked: a warm sandbox is disowned only once the session that took it is committed, and a
    // session is committed before its volumes are created.
    let volumes = match context.sandboxes.volumes().await {
        Ok(volumes) => volumes,
        Err(error) => return warn!(%error, "could not look for orphaned volumes"),
    };
    let warm: BTreeMap<String, SessionKey> = volumes
        .iter()
        .filter(|volume| context.sandboxes.was_warm(volume))
        .map(|volume| (volume.name.clone(), volume.session))
        .collect();
    let volumes = volumes.into_iter().map(|volume| KnownVolume { name: volume.name, session: volume.session });
    let now = Timestamp::now();
    let orphans = match context.store.record_orphan_volumes(volumes.collect(), now).await {
        Ok(orphans) => orphans,
        Err(error) => return warn!(%error, "could not record which volumes have no session"),
    };
    let grace = context.settings.orphan_volume_grace;
    let mut left: BTreeSet<SessionKey> = BTreeSet::new();
    for orphan in orphans {
        let warm = warm.get(&orphan.name);
        if warm.is_some() || orphan.is_expired(grace, now) {
            match context.sandboxes.remove_orphaned_volume(&orphan.name).await {
                Ok(()) => info!(volume.name = orphan.name, "removed a volume that no session has"),
                Err(error) => {
                    warn!(volume.name = orphan.name, %error, "could not remove an orphaned volume");
                    left.extend(warm);
                }
            }
        } else if orphan.since == now {
            warn!(
                volume.name = orphan.name,
                "no session has this volume; it is removed after ORPHAN_VOLUME_GRACE or by `claude-runner prune`"
            );
        }
    }
    for session in warm.into_values().filter(|session| !left.contains(session)) {
        context.sandboxes.forget_warm(session);
    }
}

async fn prune(registry: &Registry) {
    loop {
        match registry.context().store.prune(Timestamp::now()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return warn!(%error, "could not remove old events"),
        }
    }
}
