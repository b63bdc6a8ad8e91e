//! What has to be done every minute: leftovers removed, the log kept within its bounds.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::registry::Registry;

const PERIOD: Duration = Duration::from_mins(1);

/// Runs until the coordinator ends; the first round at once.
pub async fn run(registry: Registry) {
    let shutdown = registry.context().shutdown.clone();
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let round = async {
            rounds.tick().await;
            sweep(&registry).await;
            prune(&registry).await;
        };
        // A round may be cut off anywhere, at an engine that does not answer above all: the next start begins with one.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

/// Removes what no live session owns.
pub async fn sweep(registry: &Registry) {
    let context = registry.context();
    if let Err(error) = context.sandboxes.remove_orphans().await {
        warn!(%error, "could not look for leftovers");
        return;
    }
    let sessions = match context.sandboxes.sessions_with_volumes().await {
        Ok(sessions) => sessions,
        Err(error) => return warn!(%error, "could not look for left volumes"),
    };
    for session in sessions {
        // Looked at before the store is: a warm sandbox is disowned only once the session that took it is written down.
        if context.sandboxes.owns(session) {
            continue;
        }
        // A session is written down before its volumes are made: one that is not there owns nothing.
        match context.store.has_session(session).await {
            Ok(true) => {}
            Ok(false) => {
                if let Err(error) = context.sandboxes.remove_volumes(session).await {
                    warn!(session.key = %session, %error, "could not remove left volumes");
                }
            }
            Err(error) => return warn!(%error, "could not tell which volumes are left"),
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
