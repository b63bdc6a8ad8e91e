//! The trace of one task: its spans, their names and their attributes. Names and attributes with the prefix `gen_ai.`
//! come from OpenTelemetry's semantic conventions 1.41 for generative AI; this project's own have the prefix
//! `claude_runner.`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use domain::agent::AgentName;
use domain::session::SessionId;
use domain::task::{ErrorType, Stage, TaskId, TaskRecord, TraceParent};
use domain::usage::Usage;
use jiff::Timestamp;

use super::attributes::{name_like, of_usage};
use super::calls::OpenCall;
use super::export::Exporter;
use super::identity;
use super::span::{Kind, Parent, Span, Value};

/// The data that a task's spans share. Empty if the trace is not recorded. It is cheap to clone.
#[derive(Clone, Default)]
pub struct TaskTrace {
    recorded: Option<Arc<RecordedTrace>>,
    /// The parent of spans of model requests and tool calls.
    within: u64,
}

struct RecordedTrace {
    exporter: Arc<Exporter>,
    task: TaskId,
    session: SessionId,
    agent: AgentName,
    parent: Option<TraceParent>,
    trace: u128,
    /// The parent of the sandbox's span.
    made_for: u64,
}

/// One finished model request.
pub struct ModelRequest<'a> {
    pub model: &'a str,
    /// The model in the response. `None` if the response did not get that far.
    pub answered_by: Option<&'a str>,
    /// `None` if the request was not answered.
    pub usage: Option<&'a Usage>,
    pub began: Timestamp,
    pub error: Option<Cow<'static, str>>,
}

impl TaskTrace {
    pub(super) fn new(exporter: &Arc<Exporter>, record: &TaskRecord, agent: &AgentName) -> Self {
        let (task, parent) = (&record.id, record.request.trace_parent);
        let trace = parent.map_or_else(|| identity::of_trace(task), |parent| parent.trace);
        if !exporter.keeps(trace, parent.as_ref()) {
            return TaskTrace::default();
        }
        // Before its first start, a task waits for its sandbox.
        let waits = record.attempt == 0 && record.repository.is_none();
        let recorded = RecordedTrace {
            exporter: Arc::clone(exporter),
            task: task.clone(),
            session: record.session_id.clone(),
            agent: agent.clone(),
            parent,
            trace,
            made_for: if waits { identity::of_step(task, "queue", "") } else { identity::of_task(task) },
        };
        TaskTrace {
            recorded: Some(Arc::new(recorded)),
            within: identity::of_step(task, "agent", &record.attempt.to_string()),
        }
    }

    pub fn is_kept(&self) -> bool {
        self.recorded.is_some()
    }

    /// The same trace, with the task itself as the parent of spans. It is for the time before the agent starts.
    #[must_use]
    pub fn before_agent(&self) -> Self {
        let within = self.recorded.as_ref().map_or(0, |recorded| identity::of_task(&recorded.task));
        TaskTrace { recorded: self.recorded.clone(), within }
    }

    /// Records that the task left the queue.
    pub fn queued(&self, record: &TaskRecord, until: Timestamp) {
        let Some(recorded) = &self.recorded else { return };
        let id = identity::of_step(&recorded.task, "queue", "");
        recorded.export(recorded.span(id, "queue", record.created, until));
    }

    /// Records the preparation of a sandbox. `error` is the reason why there is none.
    pub(super) fn prepared(&self, start: &'static str, began: Timestamp, error: Option<ErrorType>) {
        let Some(recorded) = &self.recorded else { return };
        let mut span = recorded.span(identity::of_leaf(), "sandbox", began, Timestamp::now());
        span.parent = Parent::Local(recorded.made_for);
        span.attributes.push(("claude_runner.sandbox.start", start.into()));
        span.error = error.map(|error| error.as_str().into());
        recorded.export(span);
    }

    pub fn model_requested(&self, request: &ModelRequest<'_>) {
        let Some(recorded) = &self.recorded else { return };
        let model = name_like(request.model);
        let mut span = recorded.span(identity::of_leaf(), format!("chat {model}"), request.began, Timestamp::now());
        span.parent = Parent::Local(self.within);
        span.kind = Kind::Client;
        recorded.add_gen_ai(&mut span, "chat");
        span.attributes.push(("gen_ai.request.model", model.into()));
        span.attributes.extend(request.answered_by.map(|model| ("gen_ai.response.model", name_like(model).into())));
        span.attributes.extend(request.usage.into_iter().flat_map(of_usage));
        span.error.clone_from(&request.error);
        recorded.export(span);
    }

    pub(super) fn tool_called(&self, call: &OpenCall, error: Option<&'static str>) {
        let Some(recorded) = &self.recorded else { return };
        let step = |id: &str| identity::of_step(&recorded.task, "tool", id);
        let tool = name_like(&call.tool);
        let mut span = recorded.span(step(&call.id), format!("execute_tool {tool}"), call.began, Timestamp::now());
        span.parent = Parent::Local(call.parent.as_deref().map_or(self.within, step));
        span.attributes.push(("gen_ai.operation.name", "execute_tool".into()));
        span.attributes.push(("gen_ai.tool.name", tool.into()));
        span.attributes.push(("gen_ai.tool.call.id", name_like(&call.id).into()));
        span.attributes.push(("gen_ai.conversation.id", recorded.session.to_string().into()));
        span.error = error.map(Cow::Borrowed);
        recorded.export(span);
    }

    /// Records an attempt that was lost while the agent worked. The task restarts. `why` is one word.
    pub fn attempt_lost(&self, record: &TaskRecord, why: &'static str) {
        self.agent_ended(record, Some(why));
    }

    /// Records the end of the task, which completes the trace.
    pub fn ended(&self, record: &TaskRecord) {
        let Some(recorded) = &self.recorded else { return };
        let ended = record.finished.unwrap_or_else(Timestamp::now);
        if record.started.is_none() && record.attempt == 0 {
            self.queued(record, ended);
        }
        let error = record.failure.as_ref().map(|failure| failure.error_type.as_str());
        self.agent_ended(record, error);
        let mut span = recorded.span(identity::of_task(&recorded.task), "task", record.created, ended);
        span.parent = recorded.parent.map_or(Parent::None, |parent| Parent::Remote(parent.span));
        span.kind = Kind::Server;
        span.attributes.extend([
            ("claude_runner.task.id", recorded.task.to_string().into()),
            ("claude_runner.task.kind", record.kind().as_str().into()),
            ("claude_runner.task.outcome", error.unwrap_or("completed").into()),
            ("claude_runner.task.attempts", (u64::from(record.attempt) + 1).into()),
            ("gen_ai.agent.name", recorded.agent.to_string().into()),
            ("gen_ai.conversation.id", recorded.session.to_string().into()),
        ]);
        let cost = record.answer.as_ref().map(|answer| answer.cost);
        span.attributes.extend(cost.map(|dollars| ("claude_runner.task.cost_usd", Value::Amount(dollars))));
        span.error = error.map(Cow::Borrowed);
        recorded.export(span);
    }

    /// Records one attempt of the agent, if it started.
    fn agent_ended(&self, record: &TaskRecord, error: Option<&'static str>) {
        let (Some(recorded), Some(began)) = (&self.recorded, agent_began(record)) else { return };
        let ended = record.finished.unwrap_or_else(Timestamp::now);
        let mut span = recorded.span(self.within, format!("invoke_agent {}", recorded.agent), began, ended);
        recorded.add_gen_ai(&mut span, "invoke_agent");
        span.attributes.push(("gen_ai.agent.name", recorded.agent.to_string().into()));
        span.attributes.push(("gen_ai.request.model", name_like(&record.request.model).into()));
        span.attributes.extend(record.answer.iter().flat_map(|answer| of_usage(&answer.usage)));
        span.error = error.map(Cow::Borrowed);
        recorded.export(span);
    }
}

impl RecordedTrace {
    /// A span of the usual shape: an internal child of the task's span.
    fn span(&self, id: u64, name: impl Into<Cow<'static, str>>, began: Timestamp, ended: Timestamp) -> Span {
        Span {
            trace: self.trace,
            id,
            parent: Parent::Local(identity::of_task(&self.task)),
            name: name.into(),
            kind: Kind::Internal,
            began,
            ended,
            attributes: Vec::new(),
            error: None,
        }
    }

    fn add_gen_ai(&self, span: &mut Span, operation: &'static str) {
        span.attributes.extend([
            ("gen_ai.operation.name", operation.into()),
            ("gen_ai.provider.name", "anthropic".into()),
            ("gen_ai.conversation.id", self.session.to_string().into()),
        ]);
    }

    fn export(&self, span: Span) {
        self.exporter.export(span);
    }
}

/// The start of the current attempt, if it has started.
fn agent_began(record: &TaskRecord) -> Option<Timestamp> {
    match &record.repository {
        None => record.started,
        Some(progress) => progress.stage_began.filter(|_| progress.stage == Some(Stage::Worker)),
    }
}

impl fmt::Debug for TaskTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrace").field("is_kept", &self.is_kept()).finish()
    }
}
