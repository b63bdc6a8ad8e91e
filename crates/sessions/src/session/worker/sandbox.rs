//! The session's sandbox: taken over, made, lost. All of it spawned; this is where the reports come in.

use std::sync::Arc;
use std::time::Duration;

use domain::agent::AgentName;
use domain::error_chain;
use domain::event::Event;
use domain::session::SandboxRecord;
use domain::task::{ErrorType, Failure};
use engine::EngineError;
use failpoint::failpoint;
use gateway::RepositoryAccess;
use jiff::Timestamp;
use sandbox::LaunchError;
use store::Change;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::repository::WorksIn;
use super::start::{Launched, NotLaunched};
use super::tasks::end_of;
use super::{Report, Waiting, Worker, prepare};
use crate::session::context::SessionContext;
use crate::session::state::{After, Input, State};

impl Worker {
    /// Goes on with the sandbox that an earlier coordinator left.
    pub(super) fn take_over_sandbox(&mut self) {
        let Some(record) = &self.conversation.record else { return };
        let (agent, Some(sandbox)) = (record.agent.clone(), record.sandbox.clone()) else { return };
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        self.slot = Some(self.context.capacity.adopt());
        self.lease = self.repository_lease();
        let access = self.repository_access();
        let works_in = self.works_in_repository();
        let (context, report) = (Arc::clone(&self.context), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            let taken_over = take_over(&context, &agent, sandbox, works_in, access, cancel).await;
            let _ = report.send(Report::TakenOver(Box::new(taken_over))).await;
        });
    }

    pub(super) async fn on_report(&mut self, report: Report) {
        match report {
            Report::Launched(outcome) => self.on_launched(*outcome).await,
            Report::TakenOver(outcome) => self.on_taken_over(*outcome).await,
            Report::Waits { ahead, shortage } => self.on_waits(ahead, shortage).await,
            Report::Prepared(step, written) => self.on_step(step, written).await,
            Report::Opened(pull) => self.on_opened(pull).await,
            Report::Settled(task) => self.on_settled(&task).await,
            Report::TakenDown(wound_up) => {
                failpoint!("sandbox.gone");
                self.leaving = false;
                self.slot = None;
                self.lease = None;
                let concluded = self.conclude(wound_up);
                // They are no other sandbox's, even if they could not be written down yet.
                self.conversation.journal.forget_frames();
                if let Some(record) = &mut self.conversation.record
                    && (record.sandbox.take().is_some() || concluded)
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
            if let Ok(launched) = outcome {
                self.sandbox = Some(launched.sandbox);
                self.slot = launched.slot;
                self.lease = launched.lease;
            }
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
                let name = launched.sandbox.name.to_string();
                let known = |record: &SandboxRecord| record.name == name;
                // A warm one was written down with the session.
                if let Some(record) = &mut self.conversation.record
                    && !record.sandbox.as_ref().is_some_and(known)
                {
                    record.sandbox = Some(launched.sandbox.record());
                    self.conversation.touch();
                }
                self.sandbox = Some(launched.sandbox);
                self.slot = launched.slot;
                self.lease = launched.lease;
                self.introduce();
                self.follow_pushes();
                failpoint!("sandbox.ready");
                self.flush().await;
                failpoint!("sandbox.written");
                self.transition(Input::Started).await;
            }
            Err(error) => {
                let failure = failure_of(&error);
                warn!(session.id = %self.conversation.id, error = failure.error, "no sandbox");
                // A warm one that could not be used.
                if let Some(record) = &mut self.conversation.record
                    && record.sandbox.take().is_some()
                {
                    self.conversation.touch();
                }
                if let Some(waiting) = self.queue.pop() {
                    self.lose_waiting(waiting, failure.clone());
                }
                if failure.error_type == ErrorType::CapacityReached {
                    self.end_impatient(&failure);
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

    /// There was no room for the first task in all its patience: others that have waited as long wait no longer.
    fn end_impatient(&mut self, failure: &Failure) {
        let patience = self.context.settings.capacity_timeout;
        let over = |waiting: &Waiting| {
            let waited: Result<Duration, _> = Timestamp::now().duration_since(waiting.record.created).try_into();
            waited.is_ok_and(|waited| waited >= patience)
        };
        while let Some(waiting) = self.queue.remove(over) {
            self.end_waiting(&waiting, failure.clone(), "request");
        }
    }

    async fn on_taken_over(&mut self, outcome: Result<Launched, NotLaunched>) {
        self.launching = None;
        match outcome {
            Ok(launched) => {
                failpoint!("takeover.ready");
                self.conversation.meet_again(launched.template);
                self.sandbox = Some(launched.sandbox);
                self.follow_pushes();
                if let State::Stopping(_) = self.state {
                    self.stop_sandbox();
                } else {
                    info!(session.id = %self.conversation.id, "took over the sandbox that was left");
                    self.go_on().await;
                }
            }
            Err(_) if matches!(self.state, State::Stopping(_)) => self.stop_sandbox(),
            Err(error) => {
                let reason = failure_of(&error).error;
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
}

async fn take_over(
    context: &SessionContext,
    agent: &AgentName,
    sandbox: SandboxRecord,
    works_in: WorksIn,
    access: Option<RepositoryAccess>,
    cancel: CancellationToken,
) -> Result<Launched, NotLaunched> {
    let template = match works_in {
        WorksIn::Workspace => context.template(agent).await.map_err(NotLaunched::Template)?,
        WorksIn::Repository => prepare::worker_template(context).await?,
    };
    let sandbox = context.sandboxes.reattach(sandbox, access, cancel).await.map_err(NotLaunched::Sandbox)?;
    Ok(Launched { sandbox, template, transcript_lost: false, slot: None, lease: None })
}

pub(super) fn failure_of(error: &NotLaunched) -> Failure {
    match error {
        NotLaunched::NoRoom(patience) => {
            let seconds = patience.as_secs_f64();
            let error = format!("no sandbox became free within {seconds} s (CAPACITY_TIMEOUT_MS, MAX_SANDBOXES)");
            Failure::new(ErrorType::CapacityReached, error)
        }
        NotLaunched::Failed(failure) => failure.clone(),
        NotLaunched::Spent(spent) => Failure::new(ErrorType::BudgetExceeded, spent.to_string()),
        NotLaunched::Store(error) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Template(error) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Sandbox(LaunchError::Engine(EngineError::ImageMissing { image })) => Failure::new(
            ErrorType::EngineUnavailable,
            format!("the image {image} is not there; build it with `claude-runner image build`"),
        ),
        NotLaunched::Sandbox(
            error
            @ (LaunchError::Engine(_) | LaunchError::Link(_) | LaunchError::Runtime { .. } | LaunchError::Timeout),
        ) => Failure::new(ErrorType::EngineUnavailable, error_chain(error)),
        NotLaunched::Sandbox(LaunchError::Ended(end)) => end_of(end),
        NotLaunched::Sandbox(error @ LaunchError::Send(_)) => {
            Failure::new(ErrorType::ContainerLost, error_chain(error))
        }
        NotLaunched::Sandbox(error @ LaunchError::Refused(_)) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Sandbox(error @ LaunchError::Cancelled) => Failure::new(ErrorType::Aborted, error_chain(error)),
    }
}
