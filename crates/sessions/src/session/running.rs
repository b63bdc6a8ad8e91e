//! The running task: its progress so far, and the outcome of its turns.

mod outcome;

use std::time::Duration;

use domain::ask::Remembered;
use domain::event::Event;
use domain::task::{Answer, Failure, TaskRecord, TaskStatus};
use domain::usage::Cost;
use gateway::UsageSnapshot;
use jiff::Timestamp;
use observe::telemetry::{OpenCalls, TaskTrace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::narrator::Caller;
use super::tasks::{RetryReason, WaitingTask};
pub(crate) use outcome::{TurnOutcome, gateway_failure};

/// The tools by which the CLI starts a subagent.
const SUBAGENT_TOOLS: [&str; 2] = ["Agent", "Task"];

/// The time that an interrupted agent has to end its turn, before its sandbox is killed.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) record: TaskRecord,
    /// The uuid that the task got when it was submitted. The uuids of its messages are derived from it.
    root: Uuid,
    progress: Progress,
    begun: Instant,
    /// The gateway's meter when the task began, or when this coordinator continued it.
    at_start: UsageSnapshot,
    /// The end of the task's time, which does not run while the task waits for people.
    deadline: Instant,
    /// The beginning of the present wait, as far as this coordinator has seen it.
    wait_seen: Instant,
    /// The agent has produced output. This is assumed if another coordinator began the task.
    spoke: bool,
    /// The task's message waits until the task's start is durable.
    prompt_pending: bool,
    /// The message of a task that starts in the commit that accepts it. It is read from the store where it is missing.
    text: Option<String>,
    trace: TaskTrace,
}

/// The progress of a running task. It is stored with the task's events, so that the next coordinator can continue the
/// task; the stored names of fields stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each flag is an independent fact")]
pub(crate) struct Progress {
    /// The event with which this attempt began.
    since: u64,
    /// The agent confirmed the message: results before that belong to other turns. The confirmation may follow the
    /// first part of the answer.
    accepted: bool,
    /// The agent has done something since it got the message.
    #[serde(rename = "heard")]
    active: bool,
    /// The reason why the first answer does not fit the schema, once the agent was asked for another one.
    #[serde(rename = "complaint")]
    schema_error: Option<String>,
    /// Completed model round-trips.
    turns: u32,
    tools: Vec<String>,
    /// Calls without a result.
    #[serde(default)]
    calls: OpenCalls,
    /// A subagent works in this turn and sends its own model requests.
    delegates: bool,
    resumed: bool,
    /// Used before this coordinator continued the task.
    used: UsageSnapshot,
    /// The CLI's own figure for its turns of this task, in dollars.
    cli_cost: f64,
    /// The failure that the coordinator decided on before the turn ended.
    #[serde(rename = "verdict")]
    forced_failure: Option<Failure>,
    /// The time that the task has waited for people, without the present wait.
    #[serde(default)]
    waited_ms: u64,
    /// The beginning of the present wait: an ask is open.
    #[serde(default)]
    waits_since: Option<Timestamp>,
    /// The decisions that are kept for the rest of the task.
    #[serde(default)]
    remembered: Vec<Remembered>,
}

impl Running {
    /// Starts an attempt. `resumed`: the conversation had turns before. Its message is sent once the start is durable.
    pub(crate) fn begin(task: WaitingTask, resumed: bool, at_start: UsageSnapshot) -> Self {
        let WaitingTask { mut record, prompt: root } = task;
        record.status = TaskStatus::Running;
        let now = Instant::now();
        // A repository task started with its first stage; its time limit starts with the second.
        let since = *record.started.get_or_insert_with(Timestamp::now);
        let elapsed = Timestamp::now().duration_since(since).try_into().unwrap_or(Duration::ZERO);
        let begun = now.checked_sub(elapsed).unwrap_or(now);
        let deadline = now + Duration::from_millis(record.request.timeout_ms);
        let progress = Progress { resumed, ..Progress::default() };
        let (trace, spoke, prompt_pending) = (TaskTrace::default(), false, true);
        let (wait_seen, text) = (now, None);
        Running { record, root, progress, begun, at_start, deadline, wait_seen, spoke, prompt_pending, text, trace }
    }

    /// Continues a task that another coordinator began. Its time limit counts from its start on the wall clock.
    pub(crate) fn resume(task: WaitingTask, progress: Progress) -> Self {
        let WaitingTask { mut record, prompt: root } = task;
        record.waiting = progress.waits_since.is_some();
        let since = |start: Timestamp| Timestamp::now().duration_since(start).try_into().unwrap_or(Duration::ZERO);
        let started = record.started.unwrap_or(record.created);
        let staged = record.repository.as_ref().and_then(|progress| progress.stage_began).unwrap_or(started);
        let (elapsed, staged) = (since(started), since(staged));
        let limit = if progress.forced_failure.is_some() {
            INTERRUPT_GRACE
        } else {
            let waits = progress.waits_since.map(since).unwrap_or_default() + Duration::from_millis(progress.waited_ms);
            Duration::from_millis(record.request.timeout_ms).saturating_sub(staged.saturating_sub(waits))
        };
        let now = Instant::now();
        let begun = now.checked_sub(elapsed).unwrap_or(now);
        let (at_start, trace) = (UsageSnapshot::default(), TaskTrace::default());
        let (deadline, spoke, prompt_pending) = (now + limit, true, false);
        let (wait_seen, text) = (now, None);
        Running { record, root, progress, begun, at_start, deadline, wait_seen, spoke, prompt_pending, text, trace }
    }

    /// Records the task's calls in this trace from now on.
    pub(crate) fn trace_as(&mut self, trace: TaskTrace) {
        self.trace = trace;
    }

    /// Corrects the task's cost before this coordinator continued it, if the ledger has a higher one.
    pub(crate) fn raise_cost_before(&mut self, cost: Cost) {
        self.progress.used.cost = self.progress.used.cost.max(cost);
    }

    /// The progress that the next coordinator needs to continue the task.
    pub(crate) fn progress(&self, now: UsageSnapshot) -> Progress {
        Progress { used: self.used(now), ..self.progress.clone() }
    }

    /// The task's usage so far.
    pub(crate) fn used(&self, now: UsageSnapshot) -> UsageSnapshot {
        let used = self.progress.used;
        UsageSnapshot {
            usage: used.usage + (now.usage - self.at_start.usage),
            cost: used.cost + (now.cost - self.at_start.cost),
            assumed: used.assumed + (now.assumed - self.at_start.assumed),
        }
    }

    /// The uuid of the message that the agent answers. Each attempt and the request for a better answer have their own,
    /// because the CLI ignores a uuid that it has received before.
    pub(crate) fn prompt(&self) -> Uuid {
        let variant = u128::from(self.record.attempt) << 1 | u128::from(self.progress.schema_error.is_some());
        Uuid::from_u128(self.root.as_u128() ^ variant)
    }

    /// The reason why the first answer did not fit the schema, if a second one was requested.
    pub(crate) fn schema_error(&self) -> Option<&str> {
        self.progress.schema_error.as_deref()
    }

    /// The end of the task's time. `None`: it does not run, because the task waits for people.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let is_stopped = self.is_waiting() && self.progress.forced_failure.is_none();
        (!is_stopped).then_some(self.deadline)
    }

    /// An ask of the task is open.
    pub(crate) fn is_waiting(&self) -> bool {
        self.progress.waits_since.is_some()
    }

    /// The first ask was opened: the task's time stops. Returns false if it had stopped already.
    pub(crate) fn begin_wait(&mut self) -> bool {
        if self.is_waiting() {
            return false;
        }
        (self.progress.waits_since, self.wait_seen) = (Some(Timestamp::now()), Instant::now());
        self.record.waiting = true;
        true
    }

    /// The last ask ended: the task's time goes on. Returns false if the task did not wait.
    pub(crate) fn end_wait(&mut self) -> bool {
        let Some(since) = self.progress.waits_since.take() else { return false };
        let waited: Duration = Timestamp::now().duration_since(since).try_into().unwrap_or_default();
        self.progress.waited_ms += u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        if self.progress.forced_failure.is_none() {
            self.deadline += self.wait_seen.elapsed();
        }
        self.record.waiting = false;
        true
    }

    /// The decisions that are kept for the rest of the task.
    pub(crate) fn remembered(&self) -> &[Remembered] {
        &self.progress.remembered
    }

    pub(crate) fn remember(&mut self, remembered: Remembered) {
        self.progress.remembered.retain(|kept| kept.rule != remembered.rule);
        self.progress.remembered.push(remembered);
    }

    /// Records that the CLI confirmed a message: its results belong to this task from now on.
    pub(crate) fn accept(&mut self, uuid: &str) {
        if uuid.parse() == Ok(self.prompt()) {
            self.progress.accepted = true;
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.progress.accepted
    }

    pub(crate) fn began_with(&mut self, seq: u64) {
        self.progress.since = seq;
    }

    /// Sends the message again if the agent has not confirmed it: the task's own message, or the request for a better answer. The
    /// CLI ignores a message that it has.
    pub(crate) fn resend_prompt(&mut self) {
        self.prompt_pending = !self.progress.accepted && self.progress.forced_failure.is_none();
    }

    /// The message is known without the store.
    pub(crate) fn set_text(&mut self, text: Option<String>) {
        self.text = text;
    }

    pub(crate) fn take_text(&mut self) -> Option<String> {
        self.text.take()
    }

    /// True once: the message is to be sent now.
    pub(crate) fn take_pending_prompt(&mut self) -> bool {
        std::mem::take(&mut self.prompt_pending)
    }

    /// The event with which this attempt began.
    pub(crate) fn since(&self) -> u64 {
        self.progress.since
    }

    /// The agent acts on the message.
    pub(crate) fn on_events(&mut self, events: &[Event]) {
        self.assume_active();
        self.progress.calls.apply(events, &self.trace);
    }

    /// Records that the agent has acted on the message, or may have. The message is never sent again.
    pub(crate) fn assume_active(&mut self) {
        self.progress.active = true;
    }

    /// Records output of the agent. Returns true for the first time.
    pub(crate) fn is_first_output(&mut self) -> bool {
        !std::mem::replace(&mut self.spoke, true)
    }

    /// The agent has neither confirmed the message nor acted on it.
    pub(crate) fn is_not_started(&self) -> bool {
        !self.progress.active && !self.progress.accepted
    }

    /// Returns true if the task may start again after the loss of its sandbox: as often as its caller allowed, and one more time
    /// if the agent never started on it.
    pub(crate) fn may_retry(&self) -> bool {
        let allowed = self.record.request.retry + u32::from(self.is_not_started());
        self.progress.forced_failure.is_none() && self.record.attempt < allowed
    }

    /// The task as it waits for its next attempt.
    pub(crate) fn into_next_attempt(mut self, reason: RetryReason) -> WaitingTask {
        self.progress.calls.cut(&self.trace);
        self.trace.attempt_lost(&self.record, reason.as_str());
        let record = TaskRecord {
            status: TaskStatus::Queued,
            started: None,
            attempt: self.record.attempt + 1,
            waiting: false,
            ..self.record
        };
        WaitingTask { record, prompt: self.root }
    }

    pub(crate) fn called(&mut self, tool: String, caller: Caller) {
        self.progress.delegates |= caller == Caller::Subagent || SUBAGENT_TOOLS.contains(&tool.as_str());
        self.progress.tools.push(tool);
    }

    /// Returns true while the tools of the last turn that `maxTurns` allows run: no model request may follow them.
    pub(crate) fn waits_for_last_tools(&self) -> bool {
        !self.progress.delegates && self.progress.turns + 1 >= self.record.request.max_turns
    }

    /// Adds the CLI's own figure for a turn.
    pub(crate) fn add_cli_cost(&mut self, dollars: f64) {
        self.progress.cli_cost += dollars;
    }

    /// Counts a turn. Returns true if `maxTurns` forbids the next one.
    pub(crate) fn on_turn_over(&mut self) -> bool {
        self.progress.turns += 1;
        self.progress.delegates = false;
        self.progress.turns >= self.record.request.max_turns && self.progress.forced_failure.is_none()
    }

    /// Forces a failure before the turn ends. Returns false if a failure was forced before.
    pub(crate) fn force_failure(&mut self, failure: Failure) -> bool {
        if self.progress.forced_failure.is_some() {
            return false;
        }
        self.progress.forced_failure = Some(failure);
        self.deadline = Instant::now() + INTERRUPT_GRACE;
        true
    }

    /// Returns the reason why the task does not complete if it ends with `failure` now.
    pub(crate) fn reason<'a>(&'a self, failure: &'a Failure) -> &'a Failure {
        self.progress.forced_failure.as_ref().unwrap_or(failure)
    }

    pub(crate) fn forced_failure(&self) -> Option<&Failure> {
        self.progress.forced_failure.as_ref()
    }

    /// The agent is asked again, under a new uuid.
    pub(crate) fn repair(&mut self, schema_error: String) {
        self.progress.schema_error = Some(schema_error);
        self.progress.accepted = false;
    }

    /// The record of a completed task.
    pub(crate) fn complete(self, now: UsageSnapshot, output: Option<Value>, response: Option<String>) -> TaskRecord {
        self.finish(TaskStatus::Completed, now, output, response, None)
    }

    /// The record of a task that did not complete.
    pub(crate) fn fail(self, now: UsageSnapshot, failure: Failure) -> TaskRecord {
        self.finish(failure.status(), now, None, None, Some(failure))
    }

    fn finish(
        mut self,
        status: TaskStatus,
        now: UsageSnapshot,
        output: Option<Value>,
        response: Option<String>,
        failure: Option<Failure>,
    ) -> TaskRecord {
        let used = self.used(now);
        self.progress.calls.cut(&self.trace);
        let mut record = self.record;
        record.waiting = false;
        record.status = status;
        record.finished = Some(Timestamp::now());
        record.answer = Some(Answer {
            task_id: record.id.clone(),
            session_id: record.session_id.clone(),
            status,
            output,
            response,
            cost: used.cost.dollars(),
            cli_cost: self.progress.cli_cost,
            duration: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            tools: self.progress.tools,
            resumed: self.progress.resumed,
            usage: used.usage,
            price_assumed: used.assumed > Cost::ZERO,
        });
        record.failure = failure;
        record
    }
}

#[cfg(test)]
mod tests;
