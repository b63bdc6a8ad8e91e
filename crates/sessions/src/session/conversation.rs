//! What the worker and one agent process say to each other, and what is written down of it. No waiting happens here:
//! what is to be sent is left in the outbox, what is to be done next in `next`.

mod ending;

use std::sync::Arc;

use agent_template::AgentTemplate;
use claude_stream::{AgentLine, ControlRequest, Decoder, LineError, deny_tool, user_message};
use domain::event::Event;
use domain::session::{CREDENTIAL_NAMES, SessionId, SessionRecord};
use domain::task::{ErrorType, Failure, Stage, TaskId, TaskRecord};
use failpoint::failpoint;
use gateway::budget::Budgets;
use gateway::{Reading, SandboxGateway, SessionAccess};
use jiff::Timestamp;
use observe::redact::{Redactor, SessionRedactor};
use sandbox::belongs_in_log;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Change, UnfinishedTask};
use tokio::time::Instant;
use tracing::{debug, info};

use super::environment;
use super::journal::Journal;
use super::narrator::{Caller, Narrator, Sign, TurnEnd};
use super::running::{Progress, Running, Verdict};
use super::state::Input;
pub(crate) use ending::{Ending, task_end};

pub(crate) struct Conversation {
    pub(crate) id: SessionId,
    /// `None`: nobody posted to this session yet.
    pub(crate) record: Option<SessionRecord>,
    pub(crate) journal: Journal,
    /// Masks secrets in all that the agent says, before it is kept or told.
    secrets: SessionRedactor,
    /// Knows what tasks were charged.
    budgets: Budgets,
    pub(crate) running: Option<Running>,
    /// A repository task that has ended but for what is to be done about its work.
    ending: Option<Ending>,
    /// Of the sandbox that is there: instructions and schema are fixed when its agent starts.
    pub(crate) template: Option<Arc<AgentTemplate>>,
    dialogue: Dialogue,
    /// Lines for the agent's stdin.
    outbox: Vec<String>,
    /// What the last output means for the session's state.
    next: Option<Input>,
    last_output: Instant,
    controls: u64,
    /// Kind and submission of the running task, once its agent has said or done the first thing.
    spoken: Option<(&'static str, Timestamp)>,
}

/// What is known of one agent process.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Dialogue {
    narrator: Narrator,
    /// The CLI's own meter, which runs for the life of its process.
    cli_total: f64,
}

/// What is written down with each batch of the agent's output.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Written<D> {
    dialogue: D,
    task: Option<TaskId>,
    progress: Option<Progress>,
}

impl Conversation {
    pub(crate) fn new(
        id: SessionId,
        record: Option<SessionRecord>,
        journal: Journal,
        redactor: Arc<Redactor>,
        budgets: Budgets,
    ) -> Self {
        Conversation {
            budgets,
            secrets: SessionRedactor::new(redactor),
            id,
            record,
            journal,
            running: None,
            ending: None,
            template: None,
            dialogue: Dialogue::default(),
            outbox: Vec::new(),
            next: None,
            last_output: Instant::now(),
            controls: 0,
            spoken: None,
        }
    }

    /// A new agent process listens.
    pub(crate) fn meet(&mut self, template: Arc<AgentTemplate>) {
        self.template = Some(template);
        self.dialogue = Dialogue::default();
        self.outbox.clear();
        self.next = None;
    }

    /// The agent process of an earlier coordinator listens; what was known of it is known again.
    pub(crate) fn meet_again(&mut self, template: Arc<AgentTemplate>) {
        self.learn_secrets();
        self.template = Some(template);
        self.last_output = Instant::now();
        if self.running.as_ref().is_some_and(|running| running.verdict().is_some()) {
            self.control(&ControlRequest::Interrupt);
        }
    }

    /// Takes up what an earlier coordinator wrote down with [`Conversation::mark`]. `task`: the one that it had begun. False:
    /// the agent works, or may work, on a task that was ended without it, so what it says belongs to nobody.
    pub(crate) fn take_over(&mut self, written: Option<&str>, task: Option<UnfinishedTask>) -> bool {
        // What cannot be read is from another version: the task goes on as if its agent had said nothing yet.
        let written: Written<Dialogue> = written.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        self.dialogue = written.dialogue;
        let usable = written.task.is_none() || written.task.as_ref() == task.as_ref().map(|task| &task.record.id);
        self.running = task.map(|task| {
            let known = written.task.as_ref() == Some(&task.record.id);
            let progress = if known { written.progress.unwrap_or_default() } else { Progress::default() };
            Running::take_over(task.record, task.prompt_uuid, progress)
        });
        usable
    }

    /// Writes down that everything up to a frame of the sandbox was heard, and what is known by that.
    pub(crate) fn mark(&mut self, last_frame: u64, reading: Reading) {
        let written = Written {
            dialogue: &self.dialogue,
            task: self.running.as_ref().map(|running| running.record.id.clone()),
            progress: self.running.as_ref().map(|running| running.progress(reading)),
        };
        if let Ok(progress) = serde_json::to_string(&written) {
            self.journal.frame(last_frame, progress);
        }
    }

    /// Puts a task before the agent. Its message goes out with the next [`Conversation::take_outbox`].
    pub(crate) fn begin(&mut self, mut running: Running) {
        self.learn_secrets();
        running.began_with(self.journal.next_seq());
        let record = &running.record;
        self.journal.change(Change::UpdateTask(record.clone()));
        if !is_prepared(record) {
            self.journal.tell(&Event::TaskStart { session_id: self.id.clone() }, Some(&record.id));
        }
        // An interrupted turn leaves blocks and calls that never end.
        self.dialogue.narrator = Narrator::default();
        self.running = Some(running);
    }

    /// Says the running task's message, after the settings that it wants.
    pub(crate) fn say_prompt(&mut self, env: Option<&std::collections::BTreeMap<String, String>>) {
        let Some(running) = &self.running else { return };
        let model = running.record.request.model.clone();
        let message = running.complaint().map_or_else(|| prompt_text(&running.record), repair_text);
        let uuid = running.prompt().to_string();
        if let Some(env) = env {
            self.control(&ControlRequest::ApplyFlagSettings { env });
            self.restart_mcp_servers(env);
        }
        // Set each time: the CLI keeps what an earlier task asked for.
        self.control(&ControlRequest::SetModel { model: &model });
        self.outbox.push(user_message(&uuid, &message));
        self.last_output = Instant::now();
    }

    /// MCP servers have the environment of the moment at which they are started.
    fn restart_mcp_servers(&mut self, env: &std::collections::BTreeMap<String, String>) {
        let Some(template) = self.template.clone() else { return };
        let none: Result<Box<RawValue>, _> = RawValue::from_string("{}".to_owned());
        if let (Some(servers), Ok(none)) = (template.settings.mcp_config(env), none) {
            self.control(&ControlRequest::SetMcpServers { servers: &none });
            self.control(&ControlRequest::SetMcpServers { servers: &servers });
        }
    }

    pub(crate) fn take_outbox(&mut self) -> Vec<String> {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn take_next(&mut self) -> Option<Input> {
        self.next.take()
    }

    /// Once for each task: its kind, and when it was submitted, when its agent has said or done the first thing.
    pub(crate) fn take_spoken(&mut self) -> Option<(&'static str, Timestamp)> {
        self.spoken.take()
    }

    /// When the agent was last heard, while it should be: not while a tool runs, and not while no task does.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        (self.running.is_some() && !self.dialogue.narrator.tool_runs()).then_some(self.last_output)
    }

    /// Decides the running task's end and tells the agent to end its turn.
    pub(crate) fn interrupt(&mut self, failure: Failure) {
        if self.running.as_mut().is_some_and(|running| running.condemn(failure)) {
            self.control(&ControlRequest::Interrupt);
        }
    }

    /// What a sandbox may use on the session's behalf.
    pub(crate) fn access(&self) -> SessionAccess {
        let egress = self.template.as_ref().map_or(&[][..], |template| &template.settings.egress);
        self.record.as_ref().map(|record| environment::access(&record.env, egress)).unwrap_or_default()
    }

    /// Has the session's own secrets masked from now on: its credential, and its sandbox's link secret.
    pub(crate) fn learn_secrets(&mut self) {
        let Some(record) = &self.record else { return };
        let credentials = CREDENTIAL_NAMES.iter().filter_map(|name| record.env.get(*name));
        for secret in credentials.chain(record.sandbox.as_ref().map(|sandbox| &sandbox.link_secret)) {
            // As it is sent, see `Credential`.
            self.secrets.learn(secret.expose_secret().trim());
        }
    }

    /// Takes in one line of the agent.
    pub(crate) fn hear(&mut self, line: Result<AgentLine<'_>, LineError>, gateway: &SandboxGateway) {
        match line.as_ref().ok().and_then(|line| self.secrets.line(line.raw)) {
            Some(masked) => {
                let mut decoder = Decoder::new(masked.len());
                decoder.feed(masked.as_bytes(), |line| self.hear_masked(line, gateway));
                decoder.finish(|line| self.hear_masked(line, gateway));
            }
            None => self.hear_masked(line, gateway),
        }
    }

    fn hear_masked(&mut self, line: Result<AgentLine<'_>, LineError>, gateway: &SandboxGateway) {
        self.last_output = Instant::now();
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                // Nothing after it can be trusted to be the CLI's own.
                let error = format!("the agent printed something that is no stream-json: {error}");
                let failure = Failure::new(ErrorType::ExitCode, error);
                gateway.end_task(task_end(self.reason_of_end(Some(&failure))));
                self.end_task(failure, gateway.reading(), "request");
                self.next = Some(Input::Lost);
                return;
            }
        };
        let task = self.running.as_ref().map(|running| running.record.id.clone());
        if let (Some(task), true) = (&task, belongs_in_log(&line)) {
            self.journal.line(task, line.raw);
        }
        let mut events = Vec::new();
        let sign = self.dialogue.narrator.tell(
            &self.id,
            line.event,
            line.raw,
            self.journal.next_seq(),
            &self.secrets,
            &mut events,
        );
        for event in &events {
            self.journal.tell(event, task.as_ref());
        }
        if let (Some(running), false) = (&mut self.running, events.is_empty() && !self.dialogue.narrator.holds_text()) {
            running.hear(&events);
            if events.iter().any(Event::is_of_the_model) && running.speaks_first() {
                self.spoken = Some((running.record.kind(), running.record.created));
            }
        }
        self.heed(sign, gateway);
    }

    /// A line of an agent that is asked beside the conversation, or one of ours, for the task's log.
    pub(crate) fn log_line(&mut self, task: &TaskId, line: &str) {
        let masked = self.secrets.line(line);
        self.journal.line(task, masked.as_deref().unwrap_or(line));
    }

    /// Writes the session's record as it is now.
    pub(crate) fn touch(&mut self) {
        if let Some(record) = &mut self.record {
            record.last_active = Timestamp::now();
            self.journal.change(Change::UpdateSession(record.clone()));
        }
    }

    fn heed(&mut self, sign: Sign, gateway: &SandboxGateway) {
        match sign {
            Sign::None => {}
            Sign::Accepted { uuid } => {
                if let Some(running) = &mut self.running {
                    running.accept(&uuid);
                    failpoint!("message.accepted");
                }
            }
            Sign::Conversation { claude_session_id } => self.remember(claude_session_id),
            Sign::ToolCalled { tool, caller } => {
                self.pace_tool_call(tool, caller, gateway);
                gateway.heard_tool_call();
            }
            Sign::TurnOver => {
                if self.running.as_mut().is_some_and(Running::turn_over) {
                    let turns = self.running.as_ref().map_or(0, |running| running.record.request.max_turns);
                    let error = format!("the task used its {turns} turns without coming to an end (maxTurns)");
                    self.interrupt(Failure::new(ErrorType::MaxTurns, error));
                }
            }
            Sign::Ended(end) => self.turn_ended(*end, gateway),
            Sign::Asked { request_id, subtype } => {
                debug!(session.id = %self.id, request = subtype, "the agent asks, and nobody is there to answer");
                self.outbox.push(deny_tool(&request_id, "nobody can be asked here"));
            }
            Sign::Answered { request_id, error } => {
                if let Some(error) = error {
                    info!(session.id = %self.id, request.id = request_id, error, "the agent refused a request");
                }
            }
        }
    }

    fn pace_tool_call(&mut self, tool: String, caller: Caller, gateway: &SandboxGateway) {
        let Some(running) = &mut self.running else { return };
        running.called(tool, caller);
        // Until the end of the turn is heard, the request for one too many could be on its way already.
        if running.waits_for_last_tools() {
            gateway.hold_requests();
        } else {
            gateway.release_requests();
        }
    }

    fn remember(&mut self, claude_session_id: String) {
        if let Some(record) = &mut self.record
            && record.claude_session_id.as_ref() != Some(&claude_session_id)
        {
            record.claude_session_id = Some(claude_session_id);
            self.journal.change(Change::UpdateSession(record.clone()));
        }
    }

    fn turn_ended(&mut self, end: TurnEnd, gateway: &SandboxGateway) {
        let before = self.dialogue.cli_total;
        let total = end.cli_cost.unwrap_or(before);
        let cli_cost = (total - before).max(0.0);
        gateway.release_requests();
        // Any other turn belongs to the session and ends no task.
        let Some(mut running) = self.running.take_if(|running| running.is_accepted()) else { return };
        running.cli_charged(cli_cost);
        self.dialogue.cli_total = total;
        let schema = self.template.as_ref().and_then(|template| template.output_schema.as_ref());
        match running.judge(end, gateway.failure(), schema) {
            Verdict::Repair { complaint } => {
                let running = self.running.insert(running);
                running.repair(complaint);
                let (uuid, text) = (running.prompt().to_string(), running.complaint().map(repair_text));
                self.outbox.extend(text.map(|text| user_message(&uuid, &text)));
            }
            Verdict::Completed { output, response } => {
                gateway.end_task(task_end(None));
                let record = running.complete(gateway.reading(), output, response);
                if let Some(session) = &mut self.record {
                    session.turns += 1;
                }
                failpoint!("result.heard");
                self.write_end(record, "request");
                self.next = self.unsettled().is_none().then_some(Input::Ended);
            }
            Verdict::Failed(failure) => {
                gateway.end_task(task_end(Some(&failure)));
                let record = running.fail(gateway.reading(), failure);
                self.write_end(record, "request");
                self.next = self.unsettled().is_none().then_some(Input::Ended);
            }
        }
    }

    /// Why the running task does not complete: a reason that was decided before counts more.
    pub(crate) fn reason_of_end<'a>(&'a self, failure: Option<&'a Failure>) -> Option<&'a Failure> {
        self.running.as_ref().and_then(Running::verdict).or(failure)
    }

    fn control(&mut self, request: &ControlRequest<'_>) {
        self.controls += 1;
        self.outbox.push(request.to_line(&format!("control-{}", self.controls)));
    }
}

/// Its first stage began before, and with it the task.
fn is_prepared(record: &TaskRecord) -> bool {
    record.repository.as_ref().is_some_and(|progress| progress.stage == Some(Stage::Orchestrator))
}

fn prompt_text(record: &TaskRecord) -> String {
    match &record.request.context {
        Some(context) => format!("## Context\n\n{context}\n\n---\n\n{}", record.request.message),
        None => record.request.message.clone(),
    }
}

fn repair_text(complaint: &str) -> String {
    format!(
        "Your answer could not be used: {complaint}. Give the same answer once more by calling the StructuredOutput tool \
         with an object that fits its schema. Do not do anything else."
    )
}
