//! The work of every minute: orphans are removed, and old events, so that the log stays within its bounds.

use std::time::Duration;

use jiff::Timestamp;
use store::StoreError;
use tokio::time::MissedTickBehavior;
use tracing::warn;

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
        // A round can be cut anywhere, above all at an engine that does not answer: the next start begins with a round.
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
                match context.store.index().await {
                    Ok(true) => {}
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

/// Removes the containers, links and volumes that no session owns.
pub async fn remove_orphans(registry: &Registry) {
    let context = registry.context();
    if let Err(error) = context.sandboxes.remove_orphans().await {
        warn!(%error, "could not look for orphans");
        return;
    }
    let sessions = match context.sandboxes.sessions_with_volumes().await {
        Ok(sessions) => sessions,
        Err(error) => return warn!(%error, "could not look for orphaned volumes"),
    };
    for session in sessions {
        // Checked before the store: a warm sandbox is disowned only once the session that took it is committed.
        if context.sandboxes.owns(session) {
            continue;
        }
        // A session is committed before its volumes are created: volumes without a session are orphans.
        match context.store.has_session(session).await {
            Ok(true) => {}
            Ok(false) => {
                if let Err(error) = context.sandboxes.remove_volumes(session).await {
                    warn!(session.key = %session, %error, "could not remove orphaned volumes");
                }
            }
            Err(error) => return warn!(%error, "could not determine the orphaned volumes"),
        }
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
