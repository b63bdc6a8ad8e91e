//! Running tasks: given to the agent, followed, ended.

use std::time::Duration;

use domain::task::{ErrorType, Failure, Stage, TaskId, TaskRecord, TaskStatus};
use failpoint::failpoint;
use gateway::Reading;
use jiff::Timestamp;
use observe::telemetry::TaskTrace;
use sandbox::{ProcessEnd, ProcessOutput};
use store::UnfinishedTask;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Report, Waiting, Worker};
use crate::session::conversation::Ending;
use crate::session::running::Running;
use crate::session::state::{After, Input, State};
use crate::session::{environment, payer};

/// How long an idle agent may take to take a message in; it does so in milliseconds, even under load.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(30);

impl Worker {
    /// Goes on where an earlier coordinator stopped: with the sandbox that it left, the task that it had begun, and those
    /// that waited.
    pub(super) async fn restore(&mut self, tasks: Vec<UnfinishedTask>) {
        let sandbox = self.conversation.record.as_ref().and_then(|record| record.sandbox.clone());
        if sandbox.is_none() && tasks.is_empty() {
            return;
        }
        let mut begun = None;
        for task in tasks {
            let is_running = task.record.status == TaskStatus::Running;
            if let Err(error) = self.context.sandboxes.gateway().budgets().of_task(&task.record.id).await {
                warn!(task.id = %task.record.id, %error, "could not read what a task has cost");
            }
            if is_running && task.record.answer.is_some() {
                self.conversation.end_again(task.record);
            } else if is_running && !is_in_preparation(&task.record) {
                begun = Some(task);
            } else {
                self.queue.push(Waiting { record: task.record, prompt: task.prompt_uuid });
            }
        }
        let progress = sandbox.as_ref().and_then(|sandbox| sandbox.progress.as_deref());
        let usable = self.conversation.take_over(progress, begun);
        if self.conversation.is_ending() {
            self.transition(Input::Stop(After::Rest)).await;
            return;
        }
        if sandbox.is_some() && usable {
            self.transition(Input::Left).await;
            return;
        }
        let failure = Failure::new(ErrorType::ContainerLost, "the server ended, and there is no sandbox to go on with");
        self.lose_running(failure);
        self.flush().await;
        if sandbox.is_some() || self.conversation.is_ending() {
            self.transition(Input::Stop(After::Rest)).await;
        } else if self.may_begin() {
            self.transition(Input::Queued).await;
        }
    }

    /// The agent of an earlier coordinator is ours.
    pub(super) async fn go_on(&mut self) {
        let trace = self.conversation.running.as_ref().map(|running| self.trace(&running.record));
        let (Some(sandbox), Some(session)) = (&self.sandbox, &self.conversation.record) else { return };
        sandbox.gateway.set_session(session.id.as_str());
        sandbox.gateway.set_access(self.conversation.access());
        let Some(running) = &mut self.conversation.running else {
            self.introduce();
            self.transition(Input::Started).await;
            return;
        };
        // More exact than what was written down with the agent's last output. Requests wait until the task begins below.
        match self.context.sandboxes.gateway().budgets().of_task(&running.record.id).await {
            Ok(balance) => running.recall_cost(balance.spent),
            Err(error) => warn!(task.id = %running.record.id, %error, "could not read what a task has cost"),
        }
        sandbox.gateway.begin_task(payer::of_task(&running.record));
        let trace = trace.unwrap_or_default();
        sandbox.gateway.trace_as(trace.clone());
        running.trace_as(trace);
        // Sent again where nobody knows whether it arrived: the agent ignores a message that it has.
        self.unsaid = running.awaits_acceptance();
        self.transition(Input::TakenOver).await;
        self.say_prompt_once_durable().await;
        self.send().await;
        failpoint!("takeover.resumed");
    }

    /// Gives the next task to the agent that waits for it.
    pub(super) async fn start_task(&mut self) {
        self.begin_task();
        self.flush().await;
        self.log_begun();
    }

    pub(super) fn log_begun(&self) {
        if let Some(running) = &self.conversation.running {
            info!(session.id = %self.conversation.id, task.id = %running.record.id, "task started");
        }
    }

    pub(super) fn count_ended(&self, record: &TaskRecord) {
        let outcome = record.failure.as_ref().map_or("completed", |failure| failure.error_type.as_str());
        let took = record.started.zip(record.finished).map(|(started, finished)| between(started, finished));
        self.context.metrics.task_ended(record.kind(), outcome, took);
        self.trace(record).ended(record);
    }

    /// The trace that this task is seen in.
    pub(super) fn trace(&self, record: &TaskRecord) -> TaskTrace {
        let agent = self.conversation.record.as_ref().map(|session| session.agent.clone()).unwrap_or_default();
        self.context.telemetry.trace(record, &agent)
    }

    /// Whether a task that is posted now can be given to the agent in the commit that accepts it.
    pub(super) fn takes_at_once(&self) -> bool {
        self.state == State::Idle
            && self.sandbox.is_some()
            && self.queue.is_empty()
            && !self.leaving
            && !self.context.draining.is_cancelled()
    }

    /// Puts the next task before the agent: with the next commit.
    pub(super) fn begin_task(&mut self) {
        let (Some(sandbox), Some(Waiting { record, prompt })) = (&self.sandbox, self.queue.pop()) else { return };
        if let Some(session) = &self.conversation.record {
            sandbox.gateway.set_session(session.id.as_str());
            sandbox.gateway.set_access(self.conversation.access());
        }
        let prepared = is_in_preparation(&record);
        let trace = self.trace(&record);
        if record.attempt == 0 && !prepared {
            self.context.sandboxes.gateway().budgets().new_task(&record.id);
            let now = Timestamp::now();
            self.context.metrics.task_began(record.kind(), between(record.created, now));
            trace.queued(&record, now);
        }
        sandbox.gateway.begin_task(payer::of_task(&record));
        sandbox.gateway.trace_as(trace.clone());
        let resumed = self
            .conversation
            .record
            .as_ref()
            .is_some_and(|session| session.turns > 0 && session.claude_session_id.is_some());
        // What its first stage used is the task's too.
        let reading = if prepared { Reading::default() } else { sandbox.gateway.reading() };
        let mut running = Running::begin(record, prompt, resumed, reading);
        running.trace_as(trace);
        self.conversation.begin(running);
        self.conversation.enter_worker_stage();
        // What the task begins with is known to another coordinator too, though the agent has said nothing yet.
        self.conversation.mark(sandbox.process.last_frame(), sandbox.gateway.reading());
        self.unsaid = true;
    }

    /// What [`Worker::begin_task`] began could not be committed, and was discarded. The session's record is as it was.
    pub(super) fn forget_begun(&mut self) {
        self.conversation.running = None;
        self.unsaid = false;
        self.introduce();
    }

    /// What the sandbox asks for is the session's, and no task's yet.
    pub(super) fn introduce(&self) {
        let (Some(sandbox), Some(session)) = (&self.sandbox, &self.conversation.record) else { return };
        sandbox.gateway.set_session(session.id.as_str());
        sandbox.gateway.set_access(self.conversation.access());
        sandbox.gateway.await_task();
    }

    /// The message goes to the agent only once the start is written: so it is given at most once.
    pub(super) async fn say_prompt_once_durable(&mut self) {
        if !self.unsaid || self.retry_commit.is_some() {
            return;
        }
        self.unsaid = false;
        failpoint!("task.started");
        let env =
            self.conversation.record.as_ref().map(|session| environment::visible(&session.env)).unwrap_or_default();
        let changed = self.applied.as_ref() != Some(&env);
        self.conversation.say_prompt(changed.then_some(&env));
        self.applied = Some(env);
        self.send().await;
        failpoint!("message.said");
    }

    /// Sends what the conversation left to be said.
    pub(super) async fn send(&mut self) {
        let Some(sandbox) = &self.sandbox else { return };
        for line in self.conversation.take_outbox() {
            // A link that takes nothing any more ends the process's output too, which is where that is handled.
            if sandbox.link.stdin(line.into()).await.is_err() {
                break;
            }
        }
    }

    pub(super) async fn on_output(&mut self, output: ProcessOutput) {
        let Some(sandbox) = &mut self.sandbox else { return };
        let end = match output {
            ProcessOutput::Frames(frames) => {
                let (conversation, gateway) = (&mut self.conversation, &sandbox.gateway);
                let end = sandbox.process.decode(frames, |line| conversation.hear(line, gateway));
                if gateway.was_asked() {
                    self.conversation.presume_taken();
                }
                self.conversation.mark(sandbox.process.last_frame(), gateway.reading());
                if let Some((kind, submitted)) = self.conversation.take_spoken() {
                    self.context.metrics.first_output(kind, between(submitted, Timestamp::now()));
                }
                end
            }
            ProcessOutput::Ended(end) => Some(end),
        };
        failpoint!("output.heard");
        let mut next = self.conversation.take_next();
        if let Some(end) = end {
            self.lose_running(end_of(&end));
            next = Some(Input::Lost);
        }
        self.flush().await;
        self.send().await;
        self.await_charges();
        if let Some(input) = next {
            if input == Input::Ended {
                self.yield_slot();
            }
            self.transition(input).await;
        }
    }

    /// A task has ended whose agent goes on: its end is published when all of its model requests are charged.
    fn await_charges(&mut self) {
        let Some(task) = self.conversation.take_unsettled() else { return };
        let budgets = self.context.sandboxes.gateway().budgets().clone();
        let (shutdown, report) = (self.context.shutdown.clone(), self.reports.0.clone());
        self.context.tracker.spawn(async move {
            if shutdown.run_until_cancelled(budgets.settled(&task)).await.is_some() {
                let _ = report.send(Report::Settled(task)).await;
            }
        });
    }

    /// Every request of the task that ended is charged. It may have been published meanwhile.
    pub(super) async fn on_settled(&mut self, task: &TaskId) {
        if self.conversation.unsettled().is_none_or(|record| record.id != *task) {
            return;
        }
        self.tell_settled();
        self.flush().await;
        if self.state == State::Running {
            self.yield_slot();
        }
        self.transition(Input::Ended).await;
    }

    /// Publishes the end of a task that was waiting for its charges. False: there is none.
    pub(super) fn tell_settled(&mut self) -> bool {
        if self.conversation.unsettled().is_none() {
            return false;
        }
        let Some(Ending { record, by, .. }) = self.conversation.take_ending() else { return false };
        self.conversation.tell_end(record, by);
        true
    }

    /// When the running task counts as stalled unless something is heard before.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        let sandbox = self.sandbox.as_ref()?;
        let silent_since = self.conversation.silent_since()?;
        let activity = sandbox.gateway.activity();
        let untouched = self.conversation.running.as_ref().is_some_and(Running::is_untouched);
        let untouched = untouched && !sandbox.gateway.was_asked();
        let stall_timeout = self.context.settings.stall_timeout;
        let patience = if untouched { stall_timeout.min(ACCEPT_TIMEOUT) } else { stall_timeout };
        // While the model is being asked nothing has stalled; that is looked at again later.
        let heard = if activity.open_requests > 0 { Instant::now() } else { silent_since.max(activity.last.into()) };
        Some(heard + patience)
    }

    /// Ends the running task where its time is over.
    pub(super) async fn check_running(&mut self, now: Instant) {
        let Some(running) = &self.conversation.running else { return };
        if running.deadline() <= now {
            if running.verdict().is_none() {
                let milliseconds = running.record.request.timeout_ms;
                let error = format!("the task did not end within {milliseconds} ms (timeoutMs)");
                self.conversation.interrupt(Failure::new(ErrorType::Timeout, error));
                self.send().await;
                return;
            }
            // It was told to end its turn and did not.
            self.lose(Failure::new(ErrorType::Timeout, "the task did not end in time")).await;
        } else if self.stalls_at().is_some_and(|at| at <= now) {
            self.look_for_requests();
            if let Some((record, prompt)) = self.conversation.take_back_untouched("agent_hung") {
                // It never took the message in: another process will.
                self.queue.push_front(Waiting { record, prompt });
                self.flush().await;
                self.transition(Input::Lost).await;
                return;
            }
            let seconds = self.context.settings.stall_timeout.as_secs();
            let error = format!("nothing was heard from the agent for {seconds} s (STALL_TIMEOUT_MS)");
            self.lose(Failure::new(ErrorType::Stalled, error)).await;
        }
    }

    /// Ends the running task, and its sandbox with it.
    async fn lose(&mut self, failure: Failure) {
        self.end_running(failure, "request");
        self.flush().await;
        self.transition(Input::Lost).await;
    }

    /// The sandbox is lost: the running task begins anew where it may, and ends where not.
    pub(super) fn lose_running(&mut self, failure: Failure) {
        self.look_for_requests();
        let again = if failure.error_type == ErrorType::ContainerLost {
            self.conversation.take_back("container_lost")
        } else {
            // An agent that ends after its last answer takes the next task's message with it.
            self.conversation.take_back_untouched("agent_ended")
        };
        failpoint!("task.taken_back");
        match again {
            Some((record, prompt)) => self.queue.push_front(Waiting { record, prompt }),
            None => self.end_running(failure, "request"),
        }
        self.unsaid = false;
    }

    /// An agent that asked the model has the task's message. What one did that nobody watched is not known.
    fn look_for_requests(&mut self) {
        if self.sandbox.as_ref().is_none_or(|sandbox| sandbox.gateway.was_asked()) {
            self.conversation.presume_taken();
        }
    }

    /// What the gateway counted for this sandbox.
    pub(super) fn reading(&self) -> Reading {
        self.sandbox.as_ref().map(|sandbox| sandbox.gateway.reading()).unwrap_or_default()
    }
}

/// By the wall clock, which may have been set back.
pub(super) fn between(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// Its repository was being prepared: there is no agent that works on it.
fn is_in_preparation(record: &TaskRecord) -> bool {
    record.repository.as_ref().is_some_and(|progress| progress.stage == Some(Stage::Orchestrator))
}

/// Why a task failed whose agent is gone.
pub(super) fn end_of(end: &ProcessEnd) -> Failure {
    let error_type = if end.out_of_memory() {
        ErrorType::OomKilled
    } else {
        match end {
            // Stopped from outside, together with its container.
            ProcessEnd::Exited { code: None, signal: None, .. } => ErrorType::ContainerLost,
            ProcessEnd::Exited { .. } | ProcessEnd::NotStarted { .. } | ProcessEnd::DiskFull { .. } => {
                ErrorType::ExitCode
            }
            ProcessEnd::ContainerExited { .. } | ProcessEnd::ContainerGone | ProcessEnd::Closed => {
                ErrorType::ContainerLost
            }
        }
    };
    let hint = if error_type == ErrorType::OomKilled { "; it ran out of memory (SANDBOX_MEMORY)" } else { "" };
    Failure::new(error_type, end.describe() + hint)
}
