//! The dialogue between the worker and one agent process. Nothing here waits: lines to send are left in the outbox, the
//! next input of the state table in `next`.

mod asks;
mod calls;
mod model;
mod output;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_template::AgentTemplate;
use claude_stream::{ControlRequest, user_message};
use domain::egress::EgressRule;
use domain::event::Event;
use domain::task::{Failure, TaskId, TaskRequest};
use gateway::{SandboxGateway, UsageSnapshot};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::durable::DurableState;
use super::narrator::Narrator;
use super::running::{Progress, Running};
use super::state::Input;
use super::tasks::{End, Tasks, WaitingTask};
use asks::Asks;
use calls::Calls;
use model::HeldPrompt;
pub(crate) use output::LineContext;
use servers::WaitingMessage;

/// The time that an idle agent has to confirm a message. It needs milliseconds, even under load.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Conversation {
    /// The template of the current sandbox. An agent reads instructions and schema only when it starts.
    template: Option<Arc<AgentTemplate>>,
    dialogue: Dialogue,
    /// Lines for the agent's stdin.
    outbox: Vec<String>,
    /// The message that is sent once the agent's MCP servers have started.
    waiting: Option<WaitingMessage>,
    /// A required MCP server could not be used.
    required_failed: bool,
    /// The input for the session's state that follows from the last output.
    next: Option<Input>,
    last_output: Instant,
    controls: u64,
    /// The running task's message, while the agent changes its model.
    held_prompt: Option<HeldPrompt>,
    asks: Asks,
}

/// The part of the dialogue that later lines depend on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Dialogue {
    narrator: Narrator,
    /// The CLI's own meter, which runs for the life of its process.
    cli_total: f64,
    /// The model that the agent process uses. `None`: it is not known, because another version stored the dialogue or a request
    /// had another model.
    #[serde(default)]
    model: Option<String>,
    /// The agent asks about each call of a tool. `false`, or stored by another version: it may call tools without asking.
    #[serde(default)]
    has_hook: bool,
    /// The calls that the agent asks about.
    #[serde(default)]
    calls: Calls,
}

/// The state that is stored with each batch of the agent's output.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Snapshot<D> {
    dialogue: D,
    task: Option<TaskId>,
    progress: Option<Progress>,
    /// The agent must not be used any more. Its turn may go on.
    #[serde(default)]
    lost: bool,
}

impl Conversation {
    pub(crate) fn new() -> Self {
        Conversation {
            template: None,
            dialogue: Dialogue::default(),
            outbox: Vec::new(),
            waiting: None,
            required_failed: false,
            next: None,
            last_output: Instant::now(),
            controls: 0,
            held_prompt: None,
            asks: Asks::default(),
        }
    }

    /// A new agent process, started with this model, waits for messages. `has_hook`: it asks about each call of a tool.
    pub(crate) fn attach(&mut self, template: Arc<AgentTemplate>, model: String, has_hook: bool) {
        self.template = Some(template);
        self.dialogue = Dialogue { model: Some(model), has_hook, ..Dialogue::default() };
        self.outbox.clear();
        (self.waiting, self.required_failed) = (None, false);
        self.next = None;
        self.held_prompt = None;
    }

    /// The agent process of the previous coordinator is attached again. A turn that was to end is interrupted again.
    pub(crate) fn reattach(&mut self, template: Arc<AgentTemplate>, running: Option<&Running>) {
        self.template = Some(template);
        self.last_output = Instant::now();
        self.resend_decisions();
        if running.is_some_and(|running| running.forced_failure().is_some()) {
            self.control(&ControlRequest::Interrupt);
        }
    }

    /// Restores the state that the previous coordinator stored with [`Conversation::mark`]. `task` is the task that was running.
    /// Returns false if the agent may work on a task that has ended, so that its output belongs to no task.
    pub(crate) fn resume(&mut self, stored: Option<&str>, task: Option<WaitingTask>, tasks: &mut Tasks) -> bool {
        // Another version may have stored it: the task then continues as if its agent had produced no output.
        let stored: Snapshot<Dialogue> = stored.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        self.dialogue = stored.dialogue;
        let of_this_task = stored.task.is_none() || stored.task.as_ref() == task.as_ref().map(|task| &task.record.id);
        if let Some(task) = task {
            let known = stored.task.as_ref() == Some(&task.record.id);
            let progress = if known { stored.progress.unwrap_or_default() } else { Progress::default() };
            tasks.set_running(Running::resume(task, progress));
        }
        of_this_task && !stored.lost
    }

    /// Stores that all frames of the sandbox up to `last_frame` were processed, and the state that they led to.
    pub(crate) fn mark(
        &self,
        last_frame: u64,
        used: UsageSnapshot,
        running: Option<&Running>,
        durable: &mut DurableState,
    ) {
        let snapshot = Snapshot {
            dialogue: &self.dialogue,
            task: running.map(|running| running.record.id.clone()),
            progress: running.map(|running| running.progress(used)),
            lost: self.next == Some(Input::Lost),
        };
        if let Ok(progress) = serde_json::to_string(&snapshot) {
            durable.mark_frame(last_frame, progress);
        }
    }

    /// Another task begins. An interrupted turn leaves blocks and calls that never end.
    pub(crate) fn begin_task(&mut self) {
        self.dialogue.narrator = Narrator::default();
        self.dialogue.calls.clear();
        self.held_prompt = None;
    }

    /// Sends the running task's message, after the settings that the task needs and once its MCP servers have started. `env`: where
    /// it differs from the agent's.
    pub(crate) fn send_prompt(&mut self, running: &Running, message: &str, env: Option<&BTreeMap<String, String>>) {
        if let Some(env) = env {
            self.control(&ControlRequest::ApplyFlagSettings { env });
        }
        let lines = self.lines_with_model(running, user_message(&running.prompt().to_string(), message));
        self.send_with_servers(env, lines);
        self.last_output = Instant::now();
    }

    pub(crate) fn take_outbox(&mut self) -> Vec<String> {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn take_next(&mut self) -> Option<Input> {
        self.next.take()
    }

    /// False: the task has rules, and the agent would call tools without asking. It must not get the task.
    pub(crate) fn keeps_rules_of(&self, request: &TaskRequest) -> bool {
        request.asks.is_none() || self.dialogue.has_hook
    }

    /// The egress rules of the agent.
    pub(crate) fn egress(&self) -> &[EgressRule] {
        self.template.as_ref().map_or(&[], |template| &template.settings.egress)
    }

    /// Returns the time at which the running task counts as stalled unless its agent or the model produces output before. `None`
    /// while a tool runs.
    pub(crate) fn stalls_at(&self, running: &Running, gateway: &SandboxGateway, timeout: Duration) -> Option<Instant> {
        if self.dialogue.narrator.tool_runs() || self.has_open_asks() {
            return None;
        }
        if let Some(waiting) = &self.waiting {
            return Some(waiting.until());
        }
        let not_started = running.is_not_started() && !gateway.was_asked();
        let patience = if not_started { timeout.min(ACCEPT_TIMEOUT) } else { timeout };
        let activity = gateway.activity();
        // A task does not stall while the model answers. The caller checks again later.
        let asking = activity.open_requests > 0;
        let last_activity = if asking { Instant::now() } else { self.last_output.max(activity.last.into()) };
        Some(last_activity + patience)
    }

    /// Forces a failure on the running task and requests its agent to end the turn.
    pub(crate) fn interrupt(&mut self, failure: Failure, tasks: &mut Tasks) {
        if tasks.running_mut().is_some_and(|running| running.force_failure(failure)) {
            self.control(&ControlRequest::Interrupt);
        }
    }

    /// Ends the running task. Text that was held back for masking is published first.
    pub(crate) fn end_running(&mut self, end: End, used: UsageSnapshot, tasks: &mut Tasks, durable: &mut DurableState) {
        (self.waiting, self.held_prompt) = (None, None);
        self.withdraw_asks(tasks, durable);
        let Some(running) = tasks.running() else { return };
        let mut held: Vec<Event> = Vec::new();
        self.dialogue.narrator.release_all(&mut held);
        for event in &held {
            durable.publish(event, Some(&running.record.id));
        }
        tasks.end_running(end, used, durable);
    }

    fn control(&mut self, request: &ControlRequest<'_>) {
        let line = self.control_line(request);
        self.outbox.push(line);
    }

    fn control_line(&mut self, request: &ControlRequest<'_>) -> String {
        self.controls += 1;
        request.to_line(&format!("control-{}", self.controls))
    }
}

/// The message to the agent.
pub(crate) fn prompt_text(request: &TaskRequest) -> String {
    match &request.context {
        Some(context) => format!("## Context\n\n{context}\n\n---\n\n{}", request.message),
        None => request.message.clone(),
    }
}

/// The message that asks the agent for a better answer.
pub(crate) fn repair_text(schema_error: &str) -> String {
    format!(
        "Your answer could not be used: {schema_error}. Give the same answer once more by calling the StructuredOutput tool \
         with an object that fits its schema. Do not do anything else."
    )
}
