//! The sandbox of the agent: launched, reattached, taken down.

use domain::ask::{AskRecord, Remembered};
use domain::event::{EndedBy, Event, QueuedReason, WarningCode};
use domain::task::{ErrorType, Failure, TaskId};
use failpoint::failpoint;
use gateway::TaskEnd;
use sandbox::SandboxName;
use sandbox::capacity::Shortage;
use store::UnfinishedTask;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Agent, Scope};
use crate::repository::WoundUp;
use crate::session::context::SessionContext;
use crate::session::report::{Next, Report};
use crate::session::repository_work;
use crate::session::request::AbortScope;
use crate::session::sandbox::{Found, Launched, NotLaunched, TakeDown, Wanted, failure_of};
use crate::session::state::{After, Input, State};
use crate::session::tasks::End;

impl Agent {
    pub(crate) fn start_sandbox(&mut self, scope: &Scope<'_>) {
        let wanted = Wanted::new(scope.context, scope.durable, scope.tasks);
        self.sandbox.launch(wanted, scope.context, scope.reports);
    }

    pub(crate) fn reattach_sandbox(&mut self, scope: &Scope<'_>) {
        if let Some(found) = Found::new(scope.durable, scope.tasks) {
            self.sandbox.reattach(found, scope.context, scope.reports);
        }
    }

    pub(crate) fn cancel_launch(&self) {
        self.sandbox.cancel_launch();
    }

    /// Takes the sandbox down, whether it is attached or only known from the session's record.
    pub(crate) fn stop_sandbox(&mut self, scope: &Scope<'_>) {
        let (sandbox, slot) = self.sandbox.detach();
        let recorded = scope.durable.sandbox().map(|sandbox| SandboxName::from_record(&sandbox.name));
        let take_down = TakeDown {
            name: sandbox.as_ref().map(|sandbox| sandbox.name.clone()).or(recorded),
            sandbox,
            slot,
            opener: self.repository.take_opener(),
            wind_up: self.repository.wind_up(scope.tasks, scope.durable, scope.context),
            ended: scope.tasks.ending().map(|ending| ending.record.id.clone()),
            settles: repository_work::agent_settles(scope.tasks),
        };
        take_down.spawn(scope.context, scope.reports);
    }

    /// Restores the dialogue and the tasks of the previous coordinator. Returns the input that follows.
    pub(crate) fn restore(
        &mut self,
        unfinished: Vec<UnfinishedTask>,
        (asks, remembered): (Vec<AskRecord>, Vec<Remembered>),
        scope: &mut Scope<'_>,
    ) -> Option<Input> {
        let sandbox = scope.durable.sandbox().cloned();
        if sandbox.is_none() && unfinished.is_empty() {
            self.conversation.restore_asks(asks, remembered, scope.tasks, scope.durable);
            return None;
        }
        let begun = scope.tasks.restore(unfinished, scope.durable);
        let stored = sandbox.as_ref().and_then(|sandbox| sandbox.progress.as_deref());
        let is_usable = self.conversation.resume(stored, begun, scope.tasks);
        self.conversation.restore_asks(asks, remembered, scope.tasks, scope.durable);
        if scope.tasks.ending().is_some() {
            return Some(Input::Stop(After::Rest));
        }
        if sandbox.is_some() && is_usable {
            return Some(Input::Found);
        }
        let error = "the server restarted and found no sandbox for this task";
        self.lose_running(Failure::new(ErrorType::ContainerLost, error), scope);
        if sandbox.is_some() || scope.tasks.ending().is_some() {
            return Some(Input::Stop(After::Rest));
        }
        scope.tasks.is_ready(scope.context).then_some(Input::Queued)
    }

    /// Processes a report of spawned work.
    pub(crate) fn on_report(&mut self, report: Report, state: State, scope: &mut Scope<'_>) -> Next {
        let input = match report {
            Report::Waits { ahead, shortage } => {
                on_waits(ahead, shortage, scope);
                None
            }
            Report::Launched(outcome) => Some(self.on_launched(*outcome, state, scope)),
            Report::Reattached(outcome) => Some(self.on_reattached(*outcome, state, scope)),
            Report::Prepared(step, committed) if state == State::Starting => {
                repository_work::apply_step(step, scope);
                return Next::Confirm(committed);
            }
            // A cancelled launch does not continue.
            Report::Prepared(..) => None,
            Report::PullOpened(pull) => {
                repository_work::on_pull_opened(pull, scope.tasks, scope.durable);
                None
            }
            Report::BranchesMade(branches) => {
                scope.durable.add_made_branches(branches);
                None
            }
            Report::Settled(task) => self.on_settled(&task, state, scope),
            Report::TakenDown(wound_up) => {
                failpoint!("sandbox.gone");
                self.on_taken_down(wound_up, scope);
                Some(Input::TakenDown)
            }
            Report::Wiped => {
                failpoint!("session.wiped");
                Some(Input::Wiped)
            }
        };
        Next::Advance(input)
    }

    /// Processes the outcome of a launch. Returns the input that follows.
    fn on_launched(&mut self, outcome: Result<Launched, NotLaunched>, state: State, scope: &mut Scope<'_>) -> Input {
        let outcome = self.sandbox.on_launch_end(outcome);
        if state != State::Starting {
            return Input::LaunchLost;
        }
        match outcome {
            Ok(ready) => {
                info!(session.id = %scope.durable.id(), sandbox.name = ready.record.name, "sandbox ready");
                publish_repairs(ready.repairs, scope);
                if ready.transcript_lost {
                    scope.durable.forget_conversation();
                }
                self.conversation.attach(ready.template, ready.model, ready.asks);
                scope.durable.record_sandbox(ready.record);
                self.assign_to_session(scope.durable);
                self.repository.follow_pushes(&self.sandbox, scope);
                failpoint!("sandbox.ready");
                self.ready_for_next(scope)
            }
            Err(error) => {
                let failure = failure_of(&error);
                warn!(session.id = %scope.durable.id(), error = failure.error, "no sandbox");
                // The record has a sandbox if a warm one could not be used.
                if scope.durable.remove_sandbox() {
                    scope.durable.touch();
                }
                scope.tasks.fail_first(failure.clone(), scope.durable);
                if failure.error_type == ErrorType::CapacityReached {
                    let patience = scope.context.settings.capacity_timeout;
                    scope.tasks.end_impatient(patience, &failure, scope.durable);
                }
                Input::StartFailed
            }
        }
    }

    /// Processes the outcome of a reattachment. Returns the input that follows.
    fn on_reattached(&mut self, outcome: Result<Launched, NotLaunched>, state: State, scope: &mut Scope<'_>) -> Input {
        match self.sandbox.on_launch_end(outcome) {
            Ok(ready) => {
                failpoint!("takeover.ready");
                scope.durable.learn_secrets();
                self.conversation.reattach(ready.template, scope.tasks.running());
                self.repository.follow_pushes(&self.sandbox, scope);
                if state != State::Starting {
                    return Input::LaunchLost;
                }
                info!(session.id = %scope.durable.id(), "took over the sandbox of the previous server");
                if let Some(spent) = ready.spent {
                    scope.tasks.raise_cost_before(spent);
                }
                self.resume_task(scope)
            }
            Err(error) => {
                if state == State::Starting {
                    let reason = failure_of(&error).error;
                    warn!(session.id = %scope.durable.id(), error = reason, "the sandbox of the previous server is lost");
                    let error = format!("the task's sandbox was lost while the server was away: {reason}");
                    self.lose_running(Failure::new(ErrorType::ContainerLost, error), scope);
                }
                Input::LaunchLost
            }
        }
    }

    /// Continues the running task in the sandbox of the previous coordinator.
    fn resume_task(&mut self, scope: &mut Scope<'_>) -> Input {
        let Some(record) = scope.tasks.running().map(|running| running.record.clone()) else {
            if self.is_outdated(scope.context) {
                return Input::LaunchLost;
            }
            self.assign_to_session(scope.durable);
            return self.ready_for_next(scope);
        };
        let trace = scope.trace(&record);
        self.assign_to_task(&record, trace.clone(), scope.durable);
        if let Some(running) = scope.tasks.running_mut() {
            running.trace_as(trace);
            running.resend_prompt();
        }
        Input::Reattached
    }

    /// The sandbox is ready. It is replaced if the next task has rules that its agent does not know, because it was started for
    /// another task.
    fn ready_for_next(&self, scope: &Scope<'_>) -> Input {
        match scope.tasks.first() {
            Some(next) if !self.keeps_rules_of(&next.record.request) => Input::LaunchLost,
            Some(_) | None => Input::Started,
        }
    }

    /// All model requests of an ended task are charged. Publishes its end if that has not happened yet.
    fn on_settled(&mut self, task: &TaskId, state: State, scope: &mut Scope<'_>) -> Option<Input> {
        if scope.tasks.unsettled() != Some(task) {
            return None;
        }
        scope.tasks.publish_settled(scope.durable);
        Some(if state == State::Running { self.ended(scope) } else { Input::Ended })
    }

    /// Handles the removal of the sandbox. Publishes the end of the task whose work was handed in.
    fn on_taken_down(&mut self, wound_up: Option<WoundUp>, scope: &mut Scope<'_>) {
        self.sandbox.on_taken_down();
        // The next coordinator repeats a hand-in that the shutdown cut short.
        let is_concluded =
            !scope.context.shutdown.is_cancelled() && repository_work::conclude(wound_up, scope.tasks, scope.durable);
        // The frames belong to no other sandbox, even if they could not be committed.
        scope.durable.forget_frames();
        if scope.durable.remove_sandbox() || is_concluded {
            scope.durable.touch();
        }
    }

    /// Ends the running and the queued tasks that an abort concerns. Returns false if there are none.
    pub(crate) fn end_tasks(&mut self, aborted: &AbortScope, end: &End, scope: &mut Scope<'_>) -> bool {
        let running = scope.tasks.running_in(aborted).is_some();
        self.hurry_handing_in(aborted, scope.tasks);
        if running {
            self.end_running(end.clone(), scope.tasks, scope.durable);
        }
        scope.tasks.end_queued(aborted, end, scope.durable) || running
    }

    /// Ends the running task and cuts its model requests, which are charged at once.
    pub(crate) async fn end_at_shutdown(&mut self, scope: &mut Scope<'_>) {
        if let Some(gateway) = self.sandbox.gateway() {
            gateway.end_task(TaskEnd::Shutdown);
        }
        let end = End::new(Failure::new(ErrorType::Aborted, "the server was shut down"), EndedBy::Shutdown);
        self.end_running(end, scope.tasks, scope.durable);
        if let Some(task) = scope.tasks.unsettled() {
            scope.context.sandboxes.gateway().budgets().settled(task).await;
            scope.tasks.publish_settled(scope.durable);
        }
    }

    /// Ends a launch in progress, and takes the sandbox down. Returns true if the session no longer has a sandbox.
    pub(crate) async fn shut_down(&mut self, context: &SessionContext, reports: &mut mpsc::Receiver<Report>) -> bool {
        self.sandbox.shut_down(context, reports).await
    }
}

/// Reports that the agent's home was damaged.
fn publish_repairs(repairs: Vec<String>, scope: &mut Scope<'_>) {
    let task = scope.tasks.first().map(|waiting| waiting.record.id.clone());
    for message in repairs {
        let warning = Event::Warning { code: WarningCode::HomeRepaired, message, server: None };
        scope.durable.publish(&warning, task.as_ref());
    }
}

/// The launch waits for a slot.
fn on_waits(ahead: usize, shortage: Shortage, scope: &mut Scope<'_>) {
    let Some(waiting) = scope.tasks.first() else { return };
    let reason = match shortage {
        Shortage::Sandboxes => QueuedReason::Capacity,
        Shortage::Memory => QueuedReason::Memory,
    };
    let (task, session_id) = (waiting.record.id.clone(), scope.durable.id().clone());
    info!(session.id = %session_id, task.id = %task, ahead, "task waits for capacity");
    scope.durable.publish(&Event::TaskQueued { session_id, position: ahead, reason: Some(reason) }, Some(&task));
}
