//! The removal of a session's sandbox and storage. Runs beside the worker.

use std::sync::Arc;
use std::time::Duration;

use domain::session::SessionKey;
use domain::task::TaskId;
use engine::EngineError;
use failpoint::failpoint;
use sandbox::capacity::Slot;
use sandbox::{Sandbox, SandboxName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::repository::WindUp;
use crate::session::context::SessionContext;
use crate::session::report::Report;
use crate::session::repository_work::Opener;

/// The time for which an evicted sandbox stays after its last task, so that the agent can write its transcript, which takes up to
/// 100 ms.
pub(crate) const SETTLE: Duration = Duration::from_millis(250);

/// The number of attempts to remove something from an engine that does not answer. The next start repeats the removal.
const MAX_ATTEMPTS: u32 = 20;

/// Takes down a sandbox and hands in the work of the task that ended in it.
pub(crate) struct TakeDown {
    /// The sandbox, if it is attached.
    pub(crate) sandbox: Option<Sandbox>,
    /// The sandbox's slot, free for others as soon as the sandbox is removed.
    pub(crate) slot: Option<Slot>,
    /// `None`: there is no sandbox.
    pub(crate) name: Option<SandboxName>,
    pub(crate) opener: Option<Opener>,
    pub(crate) wind_up: Option<WindUp>,
    /// The task whose end is not published yet. Its end has its cost.
    pub(crate) ended: Option<TaskId>,
    /// The agent may still be writing its transcript.
    pub(crate) settles: bool,
}

impl TakeDown {
    /// Spawns the removal, which reports [`Report::TakenDown`].
    pub(crate) fn spawn(self, context: &Arc<SessionContext>, reports: &mpsc::Sender<Report>) {
        let budgets = context.sandboxes.gateway().budgets().clone();
        let is_settled = self.ended.as_ref().is_none_or(|task| budgets.is_settled(task));
        if self.name.is_none() && self.wind_up.is_none() && is_settled {
            // No other work is in progress, so the channel has room for a report.
            let _ = reports.try_send(Report::TakenDown(None));
            return;
        }
        failpoint!("stop.begun");
        let (context, reports) = (Arc::clone(context), reports.clone());
        context.tracker.clone().spawn(async move {
            let TakeDown { sandbox, slot, name, opener, mut wind_up, ended, settles } = self;
            if settles && sandbox.is_some() {
                tokio::time::sleep(SETTLE).await;
            }
            // Closing the link first keeps later actions of the agent inside the sandbox.
            drop(sandbox);
            if let Some(name) = name {
                insist(&context.shutdown, "take down a sandbox", || context.sandboxes.take_down(&name)).await;
            }
            // Charges can take a minute to settle, and other sessions need not wait for them. A wind-up runs in its own sandbox,
            // which takes over the slot.
            let slot = slot.filter(|_| wind_up.is_some());
            if let Some(opener) = opener {
                opener.finish().await;
            }
            if let Some(task) = ended {
                context.shutdown.run_until_cancelled(budgets.settled(&task)).await;
                if let (Some(wind_up), Some((cost, _))) = (&mut wind_up, budgets.charged(&task)) {
                    wind_up.outcome.cost = cost.dollars();
                }
            }
            let wound_up = match wind_up {
                Some(wind_up) => context.shutdown.run_until_cancelled(wind_up.run(&context.shutdown)).await,
                None => None,
            };
            drop(slot);
            let _ = reports.send(Report::TakenDown(wound_up)).await;
        });
    }
}

/// Spawns the removal of a session's storage, which reports [`Report::Wiped`].
pub(crate) fn wipe(session: SessionKey, context: &Arc<SessionContext>, reports: &mpsc::Sender<Report>) {
    let (context, reports) = (Arc::clone(context), reports.clone());
    context.tracker.clone().spawn(async move {
        insist(&context.shutdown, "remove a session's volumes", || context.sandboxes.remove_volumes(session)).await;
        let _ = reports.send(Report::Wiped).await;
    });
}

/// Repeats a removal until it succeeds, within a bound. When the coordinator ends, the next start takes over.
async fn insist<F>(shutdown: &CancellationToken, removal: &str, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), EngineError>>,
{
    for attempts in 1..=MAX_ATTEMPTS {
        let Err(error) = attempt().await else { return };
        warn!(%error, tries = attempts, "could not {removal}");
        let pause = tokio::time::sleep(Duration::from_millis(100 * u64::from(attempts)));
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
