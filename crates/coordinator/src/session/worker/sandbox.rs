//! The session's sandbox: made, lost, taken down. All of it spawned; this is where the reports come in.

use std::sync::Arc;
use std::time::Duration;

use container_engine::EngineError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::tasks::end_of;
use super::{Report, StopReply, Waiting, Worker};
use crate::agent::{AgentTemplate, TemplateError};
use crate::budget::Spent;
use crate::event::Event;
use crate::failpoint::failpoint;
use crate::sandbox::{LaunchError, LaunchOrder, Sandbox, SandboxName, sentence};
use crate::session::context::SessionContext;
use crate::session::conversation::Conversation;
use crate::session::payer;
use crate::session::state::{After, Input, State};
use crate::session::{SandboxRecord, SessionKey};
use crate::store::{Change, StoreError};
use crate::task::{ErrorType, Failure};

/// How long a task waits for an engine that cannot be reached, and how often that is tried.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);
const ENGINE_RETRY: Duration = Duration::from_millis(500);

/// How often an engine that does not answer is asked to take a sandbox down, before that is left to the next start.
const TAKE_DOWN_TRIES: u32 = 20;

pub(crate) struct Launched {
    sandbox: Sandbox,
    template: Arc<AgentTemplate>,
    /// A conversation was to be resumed and its transcript is gone.
    transcript_lost: bool,
}

pub(crate) enum NotLaunched {
    Template(TemplateError),
    Sandbox(LaunchError),
    /// There is no money for the task.
    Spent(Spent),
    Store(StoreError),
}

impl Worker {
    pub(super) fn start_sandbox(&mut self) {
        let Some(first) = self.queue.first().map(|waiting| &waiting.record) else { return };
        let (model, payer) = (first.request.model.clone(), payer::of_task(first));
        let resume = self.conversation.record.as_ref().and_then(|record| record.claude_session_id.clone());
        let session = self.conversation.journal.session();
        let untouched = resume.is_none() && self.conversation.record.as_ref().is_none_or(|record| record.turns == 0);
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            let template = match context.template().await {
                Ok(template) => template,
                Err(error) => {
                    let _ = report.send(Report::Launched(Box::new(Err(NotLaunched::Template(error))))).await;
                    return;
                }
            };
            // Without money for its first request a task needs no sandbox.
            let spent = context.sandboxes.gateway().budgets().spent(&payer).await;
            if let Some(refused) =
                spent.map_err(NotLaunched::Store).map(|spent| spent.map(NotLaunched::Spent)).transpose()
            {
                let error = refused.unwrap_or_else(|error| error);
                let _ = report.send(Report::Launched(Box::new(Err(error)))).await;
                return;
            }
            let order = LaunchOrder { session, template, model, resume, untouched };
            let launched = launch(&context, order, cancel).await;
            let _ = report.send(Report::Launched(Box::new(launched))).await;
        });
    }

    /// Goes on with the sandbox that an earlier coordinator left.
    pub(super) fn take_over_sandbox(&mut self) {
        let Some(sandbox) = self.conversation.record.as_ref().and_then(|record| record.sandbox.clone()) else { return };
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            let taken_over = take_over(&context, sandbox, cancel).await;
            let _ = report.send(Report::TakenOver(Box::new(taken_over))).await;
        });
    }

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
        let Some(name) = sandbox.as_ref().map(|sandbox| sandbox.name.clone()).or(left) else {
            self.report(Report::TakenDown);
            return;
        };
        failpoint!("stop.begun");
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            // The link is closed first, so that nothing that the agent still does leaves the sandbox.
            drop(sandbox);
            insist(&context.shutdown, "take down a sandbox", || context.sandboxes.take_down(&name)).await;
            let _ = report.send(Report::TakenDown).await;
        });
    }

    pub(super) async fn on_report(&mut self, report: Report) {
        match report {
            Report::Launched(outcome) => self.on_launched(*outcome).await,
            Report::TakenOver(outcome) => self.on_taken_over(*outcome).await,
            Report::TakenDown => {
                failpoint!("sandbox.gone");
                // They are no other sandbox's, even if they could not be written down yet.
                self.conversation.journal.forget_frames();
                if let Some(record) = &mut self.conversation.record
                    && record.sandbox.take().is_some()
                {
                    self.conversation.touch();
                    self.flush().await;
                }
                failpoint!("sandbox.forgotten");
                match self.state {
                    State::Stopping(After::Reset | After::Delete) => self.wipe(),
                    State::Stopping(After::Rest) | State::Cold | State::Starting | State::Idle | State::Running => {
                        self.transition(Input::Stopped).await;
                    }
                }
            }
            Report::Wiped => {
                failpoint!("session.wiped");
                self.transition(Input::Stopped).await;
            }
        }
    }

    async fn on_launched(&mut self, outcome: Result<Launched, NotLaunched>) {
        self.launching = None;
        if let State::Stopping(_) = self.state {
            self.sandbox = outcome.ok().map(|launched| launched.sandbox);
            self.stop_sandbox();
            return;
        }
        match outcome {
            Ok(launched) => {
                info!(session.id = %self.conversation.id, sandbox.name = %launched.sandbox.name, "sandbox ready");
                if launched.transcript_lost {
                    self.forget_conversation();
                }
                self.conversation.meet(launched.template);
                if let Some(record) = &mut self.conversation.record {
                    record.sandbox = Some(launched.sandbox.record());
                }
                self.conversation.touch();
                self.sandbox = Some(launched.sandbox);
                failpoint!("sandbox.ready");
                self.flush().await;
                failpoint!("sandbox.written");
                self.transition(Input::Started).await;
            }
            Err(error) => {
                let failure = failure_of(error);
                warn!(session.id = %self.conversation.id, error = failure.error, "no sandbox");
                if let Some(waiting) = self.queue.pop() {
                    self.lose_waiting(waiting, failure);
                }
                self.flush().await;
                self.transition(Input::StartFailed).await;
            }
        }
    }

    /// A task's sandbox did not come up. Where it was lost on the way, the task waits for another one, as often as a task
    /// that its agent never took in.
    fn lose_waiting(&mut self, waiting: Waiting, failure: Failure) {
        let Waiting { mut record, prompt } = waiting;
        if failure.error_type != ErrorType::ContainerLost || record.attempt > record.request.retry {
            self.end_waiting(&Waiting { record, prompt }, failure, "request");
            return;
        }
        record.attempt += 1;
        let retry = Event::Retry {
            attempt: record.attempt,
            max_retries: record.request.retry + 1,
            delay_ms: 0,
            status: None,
            reason: "container_lost".to_owned(),
            discards_from: None,
        };
        self.conversation.journal.tell(&retry, Some(&record.id));
        self.conversation.journal.change(Change::UpdateTask(record.clone()));
        self.queue.push_front(Waiting { record, prompt });
    }

    async fn on_taken_over(&mut self, outcome: Result<Launched, NotLaunched>) {
        self.launching = None;
        match outcome {
            Ok(launched) => {
                failpoint!("takeover.ready");
                self.conversation.meet_again(launched.template);
                self.sandbox = Some(launched.sandbox);
                if let State::Stopping(_) = self.state {
                    self.stop_sandbox();
                } else {
                    info!(session.id = %self.conversation.id, "took over the sandbox that was left");
                    self.go_on().await;
                }
            }
            Err(_) if matches!(self.state, State::Stopping(_)) => self.stop_sandbox(),
            Err(error) => {
                let reason = failure_of(error).error;
                warn!(session.id = %self.conversation.id, error = reason, "the sandbox that was left is lost");
                let error = format!("the task's sandbox was lost while the server was away: {reason}");
                self.lose_running(Failure::new(ErrorType::ContainerLost, error));
                self.flush().await;
                self.transition(Input::Lost).await;
            }
        }
    }

    /// The transcript is gone: the conversation begins anew, and everyone is told so.
    fn forget_conversation(&mut self) {
        if let Some(record) = &mut self.conversation.record {
            record.claude_session_id = None;
        }
        self.conversation.journal.tell(&Event::SessionReset { reason: "transcript_lost" }, None);
        self.conversation.touch();
    }

    fn wipe(&mut self) {
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
        let journal = super::journal(&self.context, SessionKey::generate(), 0);
        let redactor = Arc::clone(&self.context.redactor);
        self.conversation = Conversation::new(self.conversation.id.clone(), None, journal, redactor);
    }

    /// The coordinator ends: what runs is ended and written down, what waits runs after the next start.
    pub(super) async fn shut_down(&mut self) {
        if self.context.settings.hand_off {
            // What runs goes on, and the next coordinator finds it by what is in the store.
            self.flush().await;
            failpoint!("session.left");
            return;
        }
        self.end_running(Failure::new(ErrorType::Aborted, "the server was shut down"), "shutdown");
        self.flush().await;
        failpoint!("session.ended");
        if let Some(launching) = &self.launching {
            launching.cancel();
            if let Some(Report::Launched(outcome) | Report::TakenOver(outcome)) = self.reports.1.recv().await {
                self.sandbox = (*outcome).ok().map(|launched| launched.sandbox);
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

async fn launch(
    context: &SessionContext,
    order: LaunchOrder,
    cancel: CancellationToken,
) -> Result<Launched, NotLaunched> {
    let (template, wanted) = (Arc::clone(&order.template), order.resume.is_some());
    let sandbox = launch_when_possible(context, order, cancel).await.map_err(NotLaunched::Sandbox)?;
    Ok(Launched { transcript_lost: wanted && !sandbox.resumed, sandbox, template })
}

/// An engine that is being restarted is waited for, within a bound; so is a file descriptor where none is left.
async fn launch_when_possible(
    context: &SessionContext,
    order: LaunchOrder,
    cancel: CancellationToken,
) -> Result<Sandbox, LaunchError> {
    let give_up = Instant::now() + ENGINE_PATIENCE;
    loop {
        match context.sandboxes.launch(order.clone(), cancel.clone()).await {
            Err(error) if error.may_pass() && Instant::now() < give_up => {}
            outcome => return outcome,
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(LaunchError::Cancelled),
            () = tokio::time::sleep(ENGINE_RETRY) => {}
        }
    }
}

async fn take_over(
    context: &SessionContext,
    sandbox: SandboxRecord,
    cancel: CancellationToken,
) -> Result<Launched, NotLaunched> {
    let template = context.template().await.map_err(NotLaunched::Template)?;
    let sandbox = context.sandboxes.take_over(sandbox, cancel).await.map_err(NotLaunched::Sandbox)?;
    Ok(Launched { sandbox, template, transcript_lost: false })
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

fn failure_of(error: NotLaunched) -> Failure {
    match error {
        NotLaunched::Spent(spent) => Failure::new(ErrorType::BudgetExceeded, spent.to_string()),
        NotLaunched::Store(error) => Failure::new(ErrorType::ExitCode, sentence(&error)),
        NotLaunched::Template(error) => Failure::new(ErrorType::ExitCode, sentence(&error)),
        NotLaunched::Sandbox(LaunchError::Engine(EngineError::ImageMissing { image })) => Failure::new(
            ErrorType::EngineUnavailable,
            format!("the image {image} is not there; build it with `claude-runner image build`"),
        ),
        NotLaunched::Sandbox(
            error
            @ (LaunchError::Engine(_) | LaunchError::Link(_) | LaunchError::Runtime { .. } | LaunchError::Timeout),
        ) => Failure::new(ErrorType::EngineUnavailable, sentence(&error)),
        NotLaunched::Sandbox(LaunchError::Ended(end)) => end_of(&end),
        NotLaunched::Sandbox(error @ LaunchError::Send(_)) => Failure::new(ErrorType::ContainerLost, sentence(&error)),
        NotLaunched::Sandbox(error @ LaunchError::Refused(_)) => Failure::new(ErrorType::ExitCode, sentence(&error)),
        NotLaunched::Sandbox(error @ LaunchError::Cancelled) => Failure::new(ErrorType::Aborted, sentence(&error)),
    }
}
