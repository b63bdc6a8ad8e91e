//! Stops: what there is of a sandbox is taken down, what was asked for is written down, and those who asked are told.

use std::sync::Arc;
use std::time::Duration;

use domain::event::Event;
use domain::session::SessionKey;
use domain::task::{ErrorType, Failure};
use engine::EngineError;
use failpoint::failpoint;
use gateway::TaskEnd;
use sandbox::SandboxName;
use store::{Change, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Report, SETTLE, StopReply, Worker, journal};
use crate::session::conversation::Conversation;
use crate::session::state::After;

/// How often an engine that does not answer is asked to take a sandbox down, before that is left to the next start.
const TAKE_DOWN_TRIES: u32 = 20;

impl Worker {
    /// Takes down what there is. A launch under way is called off, and its report brings us on.
    pub(super) fn stop_sandbox(&mut self) {
        self.applied = None;
        if let Some(launching) = &self.launching {
            launching.cancel();
            return;
        }
        let left = self.conversation.record.as_ref().and_then(|record| record.sandbox.as_ref());
        let left = left.map(|sandbox| SandboxName::from_record(&sandbox.name));
        let sandbox = self.sandbox.take();
        let name = sandbox.as_ref().map(|sandbox| sandbox.name.clone()).or(left);
        let mut wind_up = self.wind_up();
        let budgets = self.context.sandboxes.gateway().budgets().clone();
        let ended = self.conversation.ending().map(|ending| ending.record.id.clone());
        let is_settled = ended.as_ref().is_none_or(|task| budgets.is_settled(task));
        if name.is_none() && wind_up.is_none() && is_settled {
            self.report(Report::TakenDown(None));
            return;
        }
        failpoint!("stop.begun");
        let opener = self.opener.take();
        let settles = self.ended_by_itself();
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            if settles && sandbox.is_some() {
                tokio::time::sleep(SETTLE).await;
            }
            // The link is closed first, so that nothing that the agent still does leaves the sandbox.
            drop(sandbox);
            if let Some(name) = name {
                insist(&context.shutdown, "take down a sandbox", || context.sandboxes.take_down(&name)).await;
            }
            if let Some(opener) = opener {
                opener.finish().await;
            }
            // The end of a task tells its cost.
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
            let _ = report.send(Report::TakenDown(wound_up)).await;
        });
    }

    pub(super) fn wipe(&mut self) {
        let session = self.conversation.journal.session();
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            insist(&context.shutdown, "remove a session's volumes", || context.sandboxes.remove_volumes(session)).await;
            let _ = report.send(Report::Wiped).await;
        });
    }

    /// A stop is complete: the session is as it was asked to be, and those who asked are told.
    pub(super) async fn settle(&mut self, after: After) {
        let outcome = self.write_stop(after).await.map_err(Arc::new);
        failpoint!("stop.written");
        for reply in std::mem::take(&mut self.stopping) {
            match reply {
                StopReply::Abort(reply) => drop(reply.send(true)),
                StopReply::Reset(reply) => drop(reply.send(outcome.clone().map(|()| true))),
                StopReply::Delete(reply) => drop(reply.send(outcome.clone())),
            }
        }
        for message in std::mem::take(&mut self.deferred) {
            // Boxed: taking a message in can settle another stop.
            Box::pin(self.on_message(message)).await;
        }
    }

    /// Writes down what a stop made of the session. Where that fails the session is as it was, and those who asked can ask
    /// again.
    async fn write_stop(&mut self, after: After) -> Result<(), StoreError> {
        // The ends of tasks that could not be written before. They must not be discarded with what follows.
        self.commit().await?;
        let before = self.conversation.record.clone();
        match after {
            After::Rest => return Ok(()),
            After::Reset => {
                if let Some(record) = &mut self.conversation.record {
                    record.turns = 0;
                    record.claude_session_id = None;
                    if let Some(repository) = &mut record.repository {
                        repository.cloned = false;
                    }
                }
                self.conversation.journal.tell(&Event::SessionReset { reason: "reset" }, None);
                self.conversation.touch();
            }
            After::Delete => {
                self.conversation.journal.tell(&Event::SessionDeleted {}, None);
                self.conversation.journal.change(Change::DeleteSession(self.conversation.journal.session()));
            }
        }
        if let Err(error) = self.commit().await {
            self.discard();
            self.conversation.record = before;
            return Err(error);
        }
        match after {
            After::Delete => self.be_reborn(),
            After::Rest | After::Reset => {}
        }
        Ok(())
    }

    /// Whoever posts to the name of a deleted session begins a new one, with a log of its own.
    fn be_reborn(&mut self) {
        self.conversation.journal.log().close();
        let journal = journal(&self.context, SessionKey::generate(), 0);
        let redactor = Arc::clone(&self.context.redactor);
        let budgets = self.context.sandboxes.gateway().budgets().clone();
        self.conversation = Conversation::new(self.conversation.id.clone(), None, journal, redactor, budgets);
    }

    /// The coordinator ends: what runs is ended and written down, what waits runs after the next start.
    pub(super) async fn shut_down(&mut self) {
        if self.context.settings.hand_off {
            // What runs goes on, and the next coordinator finds it by what is in the store.
            self.flush().await;
            failpoint!("session.left");
            return;
        }
        if let Some(sandbox) = &self.sandbox {
            sandbox.gateway.end_task(TaskEnd::Shutdown);
        }
        self.end_running(Failure::new(ErrorType::Aborted, "the server was shut down"), "shutdown");
        if let Some(task) = self.conversation.unsettled().map(|record| record.id.clone()) {
            // Its requests are cut, so this takes no time.
            self.context.sandboxes.gateway().budgets().settled(&task).await;
            self.tell_settled();
        }
        self.flush().await;
        failpoint!("session.ended");
        if let Some(launching) = &self.launching {
            launching.cancel();
            while let Some(report) = self.reports.1.recv().await {
                match report {
                    Report::Launched(outcome) | Report::TakenOver(outcome) => {
                        self.sandbox = (*outcome).ok().map(|launched| launched.sandbox);
                        break;
                    }
                    // It was on its way before the launch was called off.
                    Report::Waits { .. } | Report::Prepared(..) | Report::Opened(_) | Report::Settled(_) => {}
                    // Nothing else is under way while something starts.
                    Report::TakenDown(_) | Report::Wiped => break,
                }
            }
        }
        if let Some(sandbox) = self.sandbox.take() {
            let name = sandbox.name.clone();
            drop(sandbox);
            match self.context.sandboxes.take_down(&name).await {
                Ok(()) => {
                    if let Some(record) = &mut self.conversation.record {
                        record.sandbox = None;
                    }
                    self.conversation.touch();
                    self.flush().await;
                }
                Err(error) => warn!(sandbox.name = %name, %error, "could not take down a sandbox"),
            }
        }
    }

    fn report(&self, report: Report) {
        // There is room: no other work is under way when there is nothing to take down.
        let _ = self.reports.0.try_send(report);
    }
}

/// Repeats what must be done until it is, within a bound. At the end of the coordinator it is left to the next start.
async fn insist<F>(shutdown: &CancellationToken, what: &str, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), EngineError>>,
{
    for tries in 1..=TAKE_DOWN_TRIES {
        match attempt().await {
            Ok(()) => return,
            Err(error) => {
                warn!(%error, tries, "could not {what}");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(100 * u64::from(tries))) => {}
                }
            }
        }
    }
}
