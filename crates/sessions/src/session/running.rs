//! The task that runs: what was seen of it so far, and what its end means.

use std::time::Duration;

use agent_template::output::{OutputSchema, find_object};
use domain::event::Event;
use domain::task::{Answer, ErrorType, Failure, TaskRecord, TaskStatus};
use domain::usage::Cost;
use gateway::{GatewayFailure, Reading};
use jiff::Timestamp;
use observe::telemetry::{OpenCalls, TaskTrace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::narrator::{Caller, TurnEnd};

/// The tools by which the CLI starts a subagent.
const SUBAGENT_TOOLS: [&str; 2] = ["Agent", "Task"];

/// How long the agent has to end a turn that it was told to end, before its sandbox is killed.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) record: TaskRecord,
    /// The uuid that the task was given when it was submitted; each message for the agent gets one made from it.
    root: Uuid,
    progress: Progress,
    begun: Instant,
    /// The gateway's meter when the task began, or when this coordinator took it over.
    reading: Reading,
    deadline: Instant,
    /// The agent has said or done something; where another coordinator began the task, it may have.
    spoke: bool,
    trace: TaskTrace,
}

/// What is known of a running task: kept with its events, so that another coordinator can go on with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Progress {
    /// The event with which this attempt began.
    since: u64,
    /// The agent said that it took the message in: results before that belong to other turns. It may say so only after
    /// it began to answer.
    accepted: bool,
    /// The agent did something since it was given the message.
    heard: bool,
    /// What was wrong with the first answer, once the agent was asked for another.
    complaint: Option<String>,
    /// Model round-trips that are over.
    turns: u32,
    tools: Vec<String>,
    /// Calls without a result so far.
    #[serde(default)]
    calls: OpenCalls,
    /// A subagent works in this turn, with model requests of its own.
    delegates: bool,
    resumed: bool,
    /// Used before this coordinator took the task over.
    used: Reading,
    /// The CLI's own figure for its turns of this task, in dollars.
    cli_cost: f64,
    /// Why we ended it, where we did.
    verdict: Option<Failure>,
}

/// What follows from the end of a turn.
#[derive(Debug)]
pub(crate) enum Verdict {
    Completed {
        output: Option<Value>,
        response: Option<String>,
    },
    /// Ask once more, for an answer that fits the schema.
    Repair {
        complaint: String,
    },
    Failed(Failure),
}

impl Running {
    pub(crate) fn begin(mut record: TaskRecord, root: Uuid, resumed: bool, reading: Reading) -> Self {
        record.status = TaskStatus::Running;
        let now = Instant::now();
        // A repository task began with its first stage; its own time begins with the second.
        let since = *record.started.get_or_insert_with(Timestamp::now);
        let elapsed = Timestamp::now().duration_since(since).try_into().unwrap_or(Duration::ZERO);
        let begun = now.checked_sub(elapsed).unwrap_or(now);
        let deadline = now + Duration::from_millis(record.request.timeout_ms);
        let progress = Progress { resumed, ..Progress::default() };
        Running { record, root, progress, begun, reading, deadline, spoke: false, trace: TaskTrace::default() }
    }

    /// Goes on with a task that another coordinator began. Its time went on meanwhile, by the wall clock.
    pub(crate) fn take_over(record: TaskRecord, root: Uuid, progress: Progress) -> Self {
        let since = |start: Timestamp| Timestamp::now().duration_since(start).try_into().unwrap_or(Duration::ZERO);
        let started = record.started.unwrap_or(record.created);
        let staged = record.repository.as_ref().and_then(|progress| progress.stage_began).unwrap_or(started);
        let (elapsed, staged) = (since(started), since(staged));
        let limit = if progress.verdict.is_some() {
            INTERRUPT_GRACE
        } else {
            Duration::from_millis(record.request.timeout_ms).saturating_sub(staged)
        };
        let now = Instant::now();
        let begun = now.checked_sub(elapsed).unwrap_or(now);
        let (reading, trace) = (Reading::default(), TaskTrace::default());
        Running { record, root, progress, begun, reading, deadline: now + limit, spoke: true, trace }
    }

    /// What happens from here on is told there too.
    pub(crate) fn trace_as(&mut self, trace: TaskTrace) {
        self.trace = trace;
    }

    /// What the task cost before this coordinator took it over, where that is known better.
    pub(crate) fn recall_cost(&mut self, cost: Cost) {
        self.progress.used.cost = self.progress.used.cost.max(cost);
    }

    /// What another coordinator needs to go on.
    pub(crate) fn progress(&self, now: Reading) -> Progress {
        Progress { used: self.used(now), ..self.progress.clone() }
    }

    /// What the task used so far.
    pub(crate) fn used(&self, now: Reading) -> Reading {
        let used = self.progress.used;
        Reading {
            usage: used.usage + (now.usage - self.reading.usage),
            cost: used.cost + (now.cost - self.reading.cost),
        }
    }

    /// The uuid of the message that the agent is to answer: another one for each attempt and for the request for a better
    /// answer, because the CLI ignores one that it has seen.
    pub(crate) fn prompt(&self) -> Uuid {
        let variant = u128::from(self.record.attempt) << 1 | u128::from(self.progress.complaint.is_some());
        Uuid::from_u128(self.root.as_u128() ^ variant)
    }

    /// What was wrong with the first answer, where a second was asked for.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.progress.complaint.as_deref()
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The CLI took a message in: from here on, what it says belongs to this task.
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

    /// Nobody knows whether the agent has the message, be it the task's own or the request for a better answer.
    pub(crate) fn awaits_acceptance(&self) -> bool {
        !self.progress.accepted && self.progress.verdict.is_none()
    }

    /// The event with which this attempt began.
    pub(crate) fn since(&self) -> u64 {
        self.progress.since
    }

    /// The agent does something that it was asked for.
    pub(crate) fn hear(&mut self, events: &[Event]) {
        self.presume_heard();
        self.progress.calls.apply(events, &self.trace);
    }

    /// It may have done something of which we do not know.
    pub(crate) fn presume_heard(&mut self) {
        self.progress.heard = true;
    }

    /// The agent speaks, or calls a tool. True: for the first time.
    pub(crate) fn speaks_first(&mut self) -> bool {
        !std::mem::replace(&mut self.spoke, true)
    }

    /// Nothing was heard of the agent since it was given the message, and it did not ask the model: whatever became of the
    /// message, nothing was done about it.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.progress.heard && !self.progress.accepted
    }

    /// May the task begin anew, now that its sandbox is lost? As often as the caller allowed; and once more where the
    /// agent never took the message in, since then nothing was done.
    pub(crate) fn may_retry(&self) -> bool {
        let allowed = self.record.request.retry + u32::from(self.is_untouched());
        self.progress.verdict.is_none() && self.record.attempt < allowed
    }

    /// The task as it waits for its next attempt. `why` is a word.
    pub(crate) fn into_next_attempt(mut self, why: &'static str) -> (TaskRecord, Uuid) {
        self.progress.calls.cut(&self.trace);
        self.trace.attempt_lost(&self.record, why);
        let record =
            TaskRecord { status: TaskStatus::Queued, started: None, attempt: self.record.attempt + 1, ..self.record };
        (record, self.root)
    }

    pub(crate) fn called(&mut self, tool: String, caller: Caller) {
        self.progress.delegates |= caller == Caller::Subagent || SUBAGENT_TOOLS.contains(&tool.as_str());
        self.progress.tools.push(tool);
    }

    /// Nothing but the tools of the last turn that is allowed is to be waited for.
    pub(crate) fn waits_for_last_tools(&self) -> bool {
        !self.progress.delegates && self.progress.turns + 1 >= self.record.request.max_turns
    }

    /// A turn of the CLI ended, and this is what it says that it cost.
    pub(crate) fn cli_charged(&mut self, dollars: f64) {
        self.progress.cli_cost += dollars;
    }

    /// A turn is over and another one would follow. True: that would be one too many.
    pub(crate) fn turn_over(&mut self) -> bool {
        self.progress.turns += 1;
        self.progress.delegates = false;
        self.progress.turns >= self.record.request.max_turns && self.progress.verdict.is_none()
    }

    /// Decides the end before the agent does. Returns false where it was decided already.
    pub(crate) fn condemn(&mut self, failure: Failure) -> bool {
        if self.progress.verdict.is_some() {
            return false;
        }
        self.progress.verdict = Some(failure);
        self.deadline = Instant::now() + INTERRUPT_GRACE;
        true
    }

    pub(crate) fn verdict(&self) -> Option<&Failure> {
        self.progress.verdict.as_ref()
    }

    /// Asks again, under a new uuid.
    pub(crate) fn repair(&mut self, complaint: String) {
        self.progress.complaint = Some(complaint);
        self.progress.accepted = false;
    }

    /// What the end of its turn means: decided from what we and the gateway saw, and only then from the agent's word.
    pub(crate) fn judge(
        &self,
        end: TurnEnd,
        gateway: Option<GatewayFailure>,
        schema: Option<&OutputSchema>,
    ) -> Verdict {
        if let Some(failure) = self.progress.verdict.clone() {
            return Verdict::Failed(failure);
        }
        if end.is_error {
            return Verdict::Failed(gateway.map_or_else(|| agent_failure(&end), |failure| gateway_failure(&failure)));
        }
        let Some(schema) = schema else {
            let text = end.text.unwrap_or_default();
            return match find_object(&text) {
                Some(object) => Verdict::Completed { output: Some(Value::Object(object)), response: None },
                None => Verdict::Completed { output: None, response: Some(text) },
            };
        };
        let complaint = match end.structured_output.as_ref().map(|output| schema.check(output)) {
            Some(Ok(())) => return Verdict::Completed { output: end.structured_output, response: None },
            Some(Err(complaint)) => complaint,
            None => "the answer has no structured output".to_owned(),
        };
        if self.progress.complaint.is_some() {
            let error = format!("the answer does not fit OUTPUT.schema.json: {complaint}");
            Verdict::Failed(Failure { error_type: ErrorType::InvalidOutput, error })
        } else {
            Verdict::Repair { complaint }
        }
    }

    /// The record of a completed task.
    pub(crate) fn complete(self, now: Reading, output: Option<Value>, response: Option<String>) -> TaskRecord {
        self.finish(TaskStatus::Completed, now, output, response, None)
    }

    /// The record of a task that did not complete.
    pub(crate) fn fail(self, now: Reading, failure: Failure) -> TaskRecord {
        self.finish(failure.status(), now, None, None, Some(failure))
    }

    fn finish(
        mut self,
        status: TaskStatus,
        now: Reading,
        output: Option<Value>,
        response: Option<String>,
        failure: Option<Failure>,
    ) -> TaskRecord {
        let used = self.used(now);
        self.progress.calls.cut(&self.trace);
        let mut record = self.record;
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
        });
        record.failure = failure;
        record
    }
}

/// A turn that failed because of what happened between us and the model API.
pub(crate) fn gateway_failure(failure: &GatewayFailure) -> Failure {
    let error_type = match failure {
        GatewayFailure::AuthExpired { .. } | GatewayFailure::NoCredential { .. } => ErrorType::AuthExpired,
        GatewayFailure::CapacityReached { .. } => ErrorType::CapacityReached,
        GatewayFailure::BudgetExceeded { .. } => ErrorType::BudgetExceeded,
        GatewayFailure::BadRequest { .. } | GatewayFailure::Unreachable { .. } => ErrorType::ExitCode,
    };
    Failure::new(error_type, failure.sentence())
}

/// A turn that failed for a reason that only the agent can tell.
fn agent_failure(end: &TurnEnd) -> Failure {
    let said = match (&end.text, end.errors.as_slice()) {
        (Some(text), _) if !text.is_empty() => text.clone(),
        (_, []) => end.subtype.clone(),
        (_, errors) => errors.join("; "),
    };
    let error_type = match (end.subtype.as_str(), end.api_error_status) {
        ("error_max_turns", _) => ErrorType::MaxTurns,
        ("error_max_budget_usd", _) => ErrorType::BudgetExceeded,
        ("error_max_structured_output_retries", _) => ErrorType::InvalidOutput,
        (_, Some(401 | 403)) => ErrorType::AuthExpired,
        (_, Some(429 | 529)) => ErrorType::CapacityReached,
        _ => ErrorType::ExitCode,
    };
    Failure { error_type, error: format!("the agent failed: {}", said.chars().take(500).collect::<String>()) }
}
