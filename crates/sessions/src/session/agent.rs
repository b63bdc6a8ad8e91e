//! The agent of a session: its sandbox, and the dialogue with it.

mod asks;
mod launch;

use std::sync::Arc;
use std::time::Duration;

use domain::error_chain;
use domain::event::EndedBy;
use domain::task::{ErrorType, Failure, TaskId, TaskRecord, TaskRequest};
use failpoint::failpoint;
use gateway::{AssignedTask, Assignee, GatewayFailure, UsageSnapshot};
use observe::telemetry::TaskTrace;
use sandbox::{ProcessOutput, Warm};
use store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::context::SessionContext;
use super::conversation::{Conversation, LineContext, prompt_text, repair_text};
use super::durable::DurableState;
use super::payer;
use super::report::Report;
use super::repository_work::{self, RepositoryWork};
use super::request::AbortScope;
use super::running::Running;
use super::sandbox::{SessionSandbox, failure_of_end};
use super::state::{Input, State};
use super::tasks::{End, Overdue, RetryReason, Tasks, WaitingTask, task_end};

/// The attempts to read a message from a store that is busy, and the pause between two of them.
const READ_ATTEMPTS: usize = 5;
const READ_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Agent {
    conversation: Conversation,
    sandbox: SessionSandbox,
    repository: RepositoryWork,
}

/// The parts of a session that its agent works on.
pub(crate) struct Scope<'a> {
    pub(crate) context: &'a Arc<SessionContext>,
    pub(crate) reports: &'a mpsc::Sender<Report>,
    pub(crate) tasks: &'a mut Tasks,
    pub(crate) durable: &'a mut DurableState,
}

impl Scope<'_> {
    /// The trace that a task of this session is recorded in.
    pub(crate) fn trace(&self, record: &TaskRecord) -> TaskTrace {
        self.context.trace(record, &self.durable.agent())
    }
}

impl Agent {
    pub(crate) fn new() -> Self {
        Agent {
            conversation: Conversation::new(),
            sandbox: SessionSandbox::default(),
            repository: RepositoryWork::default(),
        }
    }

    /// False: the task has rules, and the agent would call tools without asking. Another agent has to start for it.
    pub(crate) fn keeps_rules_of(&self, request: &TaskRequest) -> bool {
        !self.sandbox.is_attached() || self.conversation.keeps_rules_of(request)
    }

    /// Returns the next output of the agent and the eviction request, see [`SessionSandbox::listen`].
    pub(crate) fn listen(&mut self) -> (impl Future<Output = ProcessOutput>, impl Future<Output = ()>) {
        self.sandbox.listen()
    }

    pub(crate) fn report_usage(&self, state: State) {
        self.sandbox.report_usage(state);
    }

    /// True if the next task is to start in a new sandbox, because the image has changed.
    pub(crate) fn is_outdated(&self, context: &SessionContext) -> bool {
        self.sandbox.is_outdated(context)
    }

    /// Tells the sandbox that it can discard its frames up to this one.
    pub(crate) fn acknowledge(&self, frame: u64) {
        self.sandbox.acknowledge(frame);
    }

    /// The next launch uses this warm sandbox. Its session is committed.
    pub(crate) fn reserve_warm(&mut self, warm: Box<Warm>, context: &SessionContext) {
        context.sandboxes.disown(warm.session);
        self.sandbox.reserve_warm(warm);
        failpoint!("warm.claimed");
    }

    /// Reserves a slot that no other session needs, for a conversation that is likely to go on. Returns false if there is none.
    pub(crate) fn reserve_spare_slot(&mut self, scope: &Scope<'_>) -> bool {
        let Scope { context, durable, .. } = scope;
        let had_conversation = durable.claude_session_id().is_some() && durable.repository().is_none();
        if !had_conversation || !context.warm.is_on() || context.draining.is_cancelled() {
            return false;
        }
        context.capacity.spare().map(|slot| self.sandbox.reserve_slot(slot)).is_some()
    }

    /// Puts a task before the agent. Its message is sent once the start is committed. `text`: the message, where it need not
    /// be read from the store.
    pub(crate) fn begin_task(&mut self, task: WaitingTask, text: Option<String>, scope: &mut Scope<'_>) {
        let (is_in_preparation, record) = (task.is_in_preparation(), &task.record);
        let trace = scope.trace(record);
        if record.attempt == 0 && !is_in_preparation {
            scope.context.sandboxes.gateway().budgets().new_task(&record.id);
            scope.context.count_begun(record, &trace);
        }
        self.assign_to_task(record, trace.clone(), scope.durable);
        let session = scope.durable.record();
        let resumed = session.is_some_and(|session| session.turns > 0 && session.claude_session_id.is_some());
        // The usage of a task's first stage also counts for the task.
        let used = if is_in_preparation { UsageSnapshot::default() } else { self.sandbox.used() };
        let mut running = Running::begin(task, resumed, used);
        running.trace_as(trace);
        running.set_text(text);
        scope.durable.learn_secrets();
        self.conversation.begin_task();
        scope.tasks.begin(running, scope.durable);
        repository_work::enter_worker_stage(scope.tasks, scope.durable);
        // The next coordinator needs the start, even before the agent has produced output.
        self.mark(scope);
    }

    /// Starts the next task of the queue.
    pub(crate) fn begin_next(&mut self, scope: &mut Scope<'_>) {
        if let Some(task) = scope.tasks.pop() {
            self.begin_task(task, None, scope);
        }
    }

    /// The start of the task that [`Agent::begin_task`] began could not be committed, and was undone.
    pub(crate) fn undo_begin(&mut self, scope: &mut Scope<'_>) {
        scope.tasks.forget_running();
        self.assign_to_session(scope.durable);
    }

    /// The session is deleted: its next life begins a new conversation.
    pub(crate) fn forget_conversation(&mut self) {
        self.conversation = Conversation::new();
    }

    /// Uses the session's credential and egress rules as they are now.
    pub(crate) fn refresh_access(&self, durable: &DurableState) {
        if let Some(gateway) = self.sandbox.gateway() {
            gateway.set_access(durable.access(self.conversation.egress()));
        }
    }

    /// Sends the running task's message, if it waits for the commit of the task's start. So it is sent at most once.
    pub(crate) async fn send_pending_prompt(
        &mut self,
        context: &SessionContext,
        tasks: &mut Tasks,
        durable: &DurableState,
    ) {
        if !tasks.take_pending_prompt() {
            return;
        }
        failpoint!("task.started");
        let message = match tasks.running_mut() {
            Some(running) => message_of(running, &context.store).await,
            None => return,
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                warn!(session.id = %durable.id(), %error, "could not read a task's message");
                let error = format!("the task's message could not be read: {}", error_chain(&error));
                self.interrupt(Failure::new(ErrorType::ExitCode, error), tasks);
                return self.send().await;
            }
        };
        if tasks.running().is_some_and(|running| !self.conversation.keeps_rules_of(&running.record.request)) {
            let error = "the agent was started without the hook that keeps the task's rules (asks)";
            self.interrupt(Failure::new(ErrorType::ExitCode, error), tasks);
            return self.send().await;
        }
        let env = durable.visible_env();
        let changed = self.sandbox.apply_env(&env) || self.conversation.must_restart_servers();
        if let Some(running) = tasks.running() {
            self.conversation.send_prompt(running, &message, changed.then_some(&env));
        }
        self.send().await;
        failpoint!("message.sent");
    }

    /// Sends the lines in the outbox.
    pub(crate) async fn send(&mut self) {
        if self.sandbox.is_attached() {
            self.sandbox.send(self.conversation.take_outbox()).await;
        }
    }

    /// Processes output of the agent. Returns the input that follows from it.
    pub(crate) fn on_output(&mut self, output: ProcessOutput, scope: &mut Scope<'_>) -> Option<Input> {
        let has_frames = matches!(output, ProcessOutput::Frames(_));
        let (conversation, Scope { tasks, durable, .. }) = (&mut self.conversation, &mut *scope);
        let end = self.sandbox.decode(output, |line, gateway| {
            conversation.on_line(line, &mut LineContext { tasks, durable, gateway });
        });
        if has_frames {
            if self.sandbox.may_have_asked() {
                scope.tasks.assume_active();
            }
            self.mark(scope);
            if let Some(output) = scope.tasks.take_first_output() {
                scope.context.count_first_output(&output);
            }
        }
        failpoint!("output.received");
        let mut next = self.conversation.take_next();
        if let Some(end) = end {
            self.lose_running(failure_of_end(&end), scope);
            next = Some(Input::Lost);
        }
        if let Some(task) = scope.tasks.take_unsettled() {
            await_charges(task, scope);
        }
        next.map(|input| if input == Input::Ended { self.ended(scope) } else { input })
    }

    /// Returns the input after the running task ended. The queue of a session continues in a new sandbox if the image has changed,
    /// and after another session that has waited long.
    fn ended(&self, scope: &Scope<'_>) -> Input {
        if scope.tasks.queued() == 0 {
            return Input::Ended;
        }
        let next = scope.tasks.first();
        let lacks_hook = next.is_some_and(|next| !self.keeps_rules_of(&next.record.request));
        if self.is_outdated(scope.context) || lacks_hook {
            return Input::EndedYielding;
        }
        if !self.sandbox.yield_slot() {
            return Input::Ended;
        }
        info!(session.id = %scope.durable.id(), "the session yields its sandbox to another one");
        Input::EndedYielding
    }

    /// Returns the time at which the running task counts as stalled unless its agent or the model produces output before.
    pub(crate) fn stalls_at(&self, tasks: &Tasks, timeout: Duration) -> Option<Instant> {
        self.conversation.stalls_at(tasks.running()?, self.sandbox.gateway()?, timeout)
    }

    /// Interrupts or ends a running task that takes too long. Returns the input that follows.
    pub(crate) fn check_running(&mut self, now: Instant, scope: &mut Scope<'_>) -> Option<Input> {
        self.expire_asks(scope);
        let timeout = scope.context.settings.stall_timeout;
        let stalls_at = self.stalls_at(scope.tasks, timeout);
        let failure = match scope.tasks.overdue(now, stalls_at)? {
            Overdue::TimedOut(mut failure) => {
                failure.error.push_str(&self.waits_for());
                self.interrupt(failure, scope.tasks);
                return None;
            }
            Overdue::NotInterrupted(failure) => failure,
            Overdue::Stalled => {
                self.assume_active_if_asked(scope.tasks);
                if scope.tasks.restart_not_started(RetryReason::AgentHung, scope.durable) {
                    return Some(Input::Lost);
                }
                let waits = self.waits_for();
                self.conversation.servers_hung().unwrap_or_else(|| {
                    let seconds = timeout.as_secs();
                    let error = format!("the agent sent no output for {seconds} s (STALL_TIMEOUT_MS){waits}");
                    Failure::new(ErrorType::Stalled, error)
                })
            }
        };
        self.end_running(End::new(failure, EndedBy::Request), scope.tasks, scope.durable);
        Some(Input::Lost)
    }

    /// Returns the rest of a sentence about a task that takes too long: the model API that its agent waits for, if it does.
    fn waits_for(&self) -> String {
        let Some(gateway) = self.sandbox.gateway() else { return String::new() };
        let activity = gateway.activity();
        match gateway.failure() {
            Some(failure @ GatewayFailure::Unreachable { .. }) => format!("; {}", failure.sentence()),
            _ if activity.open_requests > 0 => {
                format!("; the model API has been silent for {} s", activity.last.elapsed().as_secs())
            }
            _ => String::new(),
        }
    }

    /// Forces a failure on the running task, and requests the agent to end the turn.
    pub(crate) fn interrupt(&mut self, failure: Failure, tasks: &mut Tasks) {
        self.conversation.interrupt(failure, tasks);
    }

    /// Ends the running task. The sandbox cannot be used after that.
    pub(crate) fn end_running(&mut self, end: End, tasks: &mut Tasks, durable: &mut DurableState) {
        if let (Some(running), Some(gateway)) = (tasks.running(), self.sandbox.gateway()) {
            gateway.end_task(task_end(Some(running.reason(&end.failure))));
        }
        self.conversation.end_running(end, self.sandbox.used(), tasks, durable);
    }

    /// Ends the waits for the forge, because a caller ends the task whose work is handed in, or all tasks.
    pub(crate) fn hurry_handing_in(&self, scope: &AbortScope, tasks: &Tasks) {
        if tasks.ending().is_some_and(|ending| scope.includes(&ending.record.id)) {
            self.repository.hurry();
        }
    }

    /// Handles the loss of the sandbox: the running task starts again if it may, and ends otherwise.
    pub(crate) fn lose_running(&mut self, failure: Failure, scope: &mut Scope<'_>) {
        self.assume_active_if_asked(scope.tasks);
        self.conversation.withdraw_asks(scope.tasks, scope.durable);
        let restarts = scope.tasks.restart_lost(failure.error_type, scope.durable);
        failpoint!("task.taken_back");
        if !restarts {
            self.end_running(End::new(failure, EndedBy::Request), scope.tasks, scope.durable);
        }
    }

    /// An agent that asked the model has the task's message.
    fn assume_active_if_asked(&self, tasks: &mut Tasks) {
        if self.sandbox.may_have_asked() {
            tasks.assume_active();
        }
    }

    fn mark(&self, scope: &mut Scope<'_>) {
        let (last_frame, used) = (self.sandbox.last_frame(), self.sandbox.used());
        self.conversation.mark(last_frame, used, scope.tasks.running(), scope.durable);
    }

    fn assign_to_task(&self, record: &TaskRecord, trace: TaskTrace, durable: &DurableState) {
        self.sandbox.assign(Assignee {
            session: durable.id().clone(),
            access: durable.access(self.conversation.egress()),
            task: Some(AssignedTask {
                payer: payer::of_task(record),
                trace,
                model: Some(record.request.model.clone()),
            }),
        });
    }

    /// The sandbox is the session's, and no task runs.
    fn assign_to_session(&self, durable: &DurableState) {
        let Some(record) = durable.record() else { return };
        self.sandbox.assign(Assignee {
            session: record.id.clone(),
            access: durable.access(self.conversation.egress()),
            task: None,
        });
    }
}

/// The message that the agent is to answer now.
async fn message_of(running: &mut Running, store: &Store) -> Result<String, StoreError> {
    if let Some(schema_error) = running.schema_error() {
        return Ok(repair_text(schema_error));
    }
    match running.take_text() {
        Some(text) => Ok(text),
        None => read_message(&running.record.id, store).await,
    }
}

/// Reads a message from the store. A store that is busy is asked again.
async fn read_message(task: &TaskId, store: &Store) -> Result<String, StoreError> {
    let mut attempts = 1;
    loop {
        match store.task_request(task).await {
            Ok(request) => return Ok(prompt_text(&request)),
            Err(error) if attempts == READ_ATTEMPTS || error.is_damage() => return Err(error),
            Err(error) => {
                warn!(task.id = %task, %error, "could not read a task's message; it is read again");
                tokio::time::sleep(READ_PAUSE).await;
                attempts += 1;
            }
        }
    }
}

/// Spawns the wait for the charges of a task that ended, which reports [`Report::Settled`].
fn await_charges(task: TaskId, scope: &Scope<'_>) {
    let budgets = scope.context.sandboxes.gateway().budgets().clone();
    let (shutdown, reports) = (scope.context.shutdown.clone(), scope.reports.clone());
    scope.context.tracker.spawn(async move {
        if shutdown.run_until_cancelled(budgets.settled(&task)).await.is_some() {
            let _ = reports.send(Report::Settled(task)).await;
        }
    });
}
