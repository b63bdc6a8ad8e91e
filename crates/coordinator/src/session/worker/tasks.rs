//! Running tasks: given to the agent, followed, ended.

use tokio::time::Instant;
use tracing::info;

use super::{Waiting, Worker};
use crate::gateway::TaskLimits;
use crate::sandbox::{ProcessEnd, ProcessOutput};
use crate::session::environment;
use crate::session::running::Running;
use crate::session::state::Input;
use crate::store::UnfinishedTask;
use crate::task::{ErrorType, Failure, TaskStatus};
use crate::usage::Cost;

impl Worker {
    /// Takes up the tasks that an earlier coordinator accepted and did not end.
    pub(super) async fn restore(&mut self, tasks: Vec<UnfinishedTask>) {
        if tasks.is_empty() {
            return;
        }
        for UnfinishedTask { record, prompt_uuid } in tasks {
            let waiting = Waiting { record, prompt: prompt_uuid };
            if waiting.record.status == TaskStatus::Running {
                let failure = Failure::new(ErrorType::ContainerLost, "the server ended while the task ran");
                self.end_waiting(&waiting, failure, "shutdown");
            } else {
                self.queue.push(waiting);
            }
        }
        self.flush().await;
        if !self.queue.is_empty() {
            self.transition(Input::Queued).await;
        }
    }

    /// Gives the next task to the agent that waits for it.
    pub(super) async fn start_task(&mut self) {
        let (Some(sandbox), Some(Waiting { record, prompt })) = (&self.sandbox, self.queue.pop()) else { return };
        if let Some(session) = &self.conversation.record {
            sandbox.gateway.set_access(environment::access(&session.env));
        }
        sandbox.gateway.begin_task(TaskLimits { max_cost: record.request.max_cost_usd.map(Cost::from_dollars) });
        let resumed = self
            .conversation
            .record
            .as_ref()
            .is_some_and(|session| session.turns > 0 && session.claude_session_id.is_some());
        info!(session.id = %self.conversation.id, task.id = %record.id, "task started");
        self.conversation.begin(Running::begin(record, prompt, resumed, sandbox.gateway.reading()));
        self.unsaid = true;
        self.flush().await;
        self.say_prompt_once_durable().await;
    }

    /// The message goes to the agent only once the start is written: so it is given at most once.
    pub(super) async fn say_prompt_once_durable(&mut self) {
        if !self.unsaid || self.retry_commit.is_some() {
            return;
        }
        self.unsaid = false;
        let env =
            self.conversation.record.as_ref().map(|session| environment::visible(&session.env)).unwrap_or_default();
        let changed = self.applied.as_ref() != Some(&env);
        self.conversation.say_prompt(changed.then_some(&env));
        self.applied = Some(env);
        self.send().await;
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
                self.conversation.journal.frame(sandbox.process.last_frame());
                end
            }
            ProcessOutput::Ended(end) => Some(end),
        };
        let mut next = self.conversation.take_next();
        if let Some(end) = end {
            self.end_running(failure_of(&end), "request");
            next = Some(Input::Lost);
        }
        self.flush().await;
        self.send().await;
        if let Some(input) = next {
            self.transition(input).await;
        }
    }

    /// When the running task counts as stalled unless something is heard before.
    pub(super) fn stalls_at(&self) -> Option<Instant> {
        let sandbox = self.sandbox.as_ref()?;
        let silent_since = self.conversation.silent_since()?;
        let activity = sandbox.gateway.activity();
        (activity.open_requests == 0)
            .then(|| silent_since.max(activity.last.into()) + self.context.settings.stall_timeout)
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
}

/// Why a task failed whose agent is gone.
fn failure_of(end: &ProcessEnd) -> Failure {
    let error_type = if end.out_of_memory() {
        ErrorType::OomKilled
    } else {
        match end {
            ProcessEnd::Exited { .. } | ProcessEnd::NotStarted { .. } => ErrorType::ExitCode,
            ProcessEnd::ContainerExited { .. } | ProcessEnd::ContainerGone | ProcessEnd::Closed => {
                ErrorType::ContainerLost
            }
        }
    };
    let hint = if error_type == ErrorType::OomKilled { "; it ran out of memory (SANDBOX_MEMORY)" } else { "" };
    Failure::new(error_type, end.describe() + hint)
}
