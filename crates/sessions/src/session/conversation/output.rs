//! The agent's lines: published as events, and applied to the running task.

use agent_template::PermissionMode;
use claude_stream::{AgentLine, Decoder, LineError, user_message};
use domain::event::EndedBy;
use domain::task::{ErrorType, Failure};
use failpoint::failpoint;
use gateway::{GatewayFailure, SandboxGateway};
use sandbox::belongs_in_log;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::Instant;
use tracing::info;

use super::{Conversation, repair_text};
use crate::session::durable::DurableState;
use crate::session::narrator::{AgentSignal, Caller, TurnEnd};
use crate::session::running::{Running, TurnOutcome};
use crate::session::state::Input;
use crate::session::tasks::{End, Tasks, task_end};

/// Above this size, masking and decoding a line take so long that other sessions would notice: a line may have 16 MiB.
const INLINE_BYTES: usize = 64 * 1024;

/// The parts of a session that a line of its agent can change.
pub(crate) struct LineContext<'a> {
    pub(crate) tasks: &'a mut Tasks,
    pub(crate) durable: &'a mut DurableState,
    pub(crate) gateway: &'a SandboxGateway,
}

impl Conversation {
    /// Processes one line of the agent, with its secrets masked.
    pub(crate) fn on_line(&mut self, line: Result<AgentLine<'_>, LineError>, context: &mut LineContext<'_>) {
        if line.as_ref().is_ok_and(|line| line.raw.len() > INLINE_BYTES) {
            beside_others(|| self.on_line_of_any_length(line, context));
        } else {
            self.on_line_of_any_length(line, context);
        }
    }

    fn on_line_of_any_length(&mut self, line: Result<AgentLine<'_>, LineError>, context: &mut LineContext<'_>) {
        let masked = line.as_ref().ok().and_then(|line| context.durable.secrets().line(line.raw));
        match masked {
            Some(masked) => {
                let mut decoder = Decoder::new(masked.len());
                decoder.feed(masked.as_bytes(), |line| self.on_masked_line(line, context));
                decoder.finish(|line| self.on_masked_line(line, context));
            }
            None => self.on_masked_line(line, context),
        }
    }

    fn on_masked_line(&mut self, line: Result<AgentLine<'_>, LineError>, context: &mut LineContext<'_>) {
        self.last_output = Instant::now();
        let LineContext { tasks, durable, gateway } = context;
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                // The later lines may not come from the CLI either.
                let error = format!("the agent printed a line that is not stream-json: {error}");
                let end = End::new(Failure::new(ErrorType::ExitCode, error), EndedBy::Request);
                gateway.end_task(task_end(tasks.running().map(|running| running.reason(&end.failure))));
                self.end_running(end, gateway.usage(), tasks, durable);
                self.next = Some(Input::Lost);
                return;
            }
        };
        let task = tasks.running().map(|running| running.record.id.clone());
        if let (Some(task), true) = (&task, belongs_in_log(&line)) {
            durable.masked_line(task, line.raw);
        }
        let mut events = Vec::new();
        let signal = self.dialogue.narrator.narrate(
            durable.id(),
            line.event,
            line.raw,
            durable.next_seq(),
            durable.secrets(),
            &mut events,
        );
        for event in &events {
            durable.publish(event, task.as_ref());
        }
        if !events.is_empty() || self.dialogue.narrator.holds_text() {
            tasks.on_events(&events);
            self.on_calls_ended(&events, context);
        }
        self.apply(signal, context);
    }

    fn apply(&mut self, signal: AgentSignal, context: &mut LineContext<'_>) {
        let LineContext { tasks, durable, gateway } = context;
        match signal {
            AgentSignal::None => {}
            AgentSignal::Accepted { uuid } => {
                if let Some(running) = tasks.running_mut() {
                    running.accept(&uuid);
                    failpoint!("message.accepted");
                }
            }
            AgentSignal::Conversation { claude_session_id } => durable.remember_conversation(claude_session_id),
            AgentSignal::ToolCalled { tool, caller } => {
                if let Some(running) = tasks.running_mut() {
                    pace_tool_call(running, tool, caller, gateway);
                }
                gateway.confirm_tool_call();
            }
            AgentSignal::TurnOver => {
                let Some(running) = tasks.running_mut() else { return };
                if running.on_turn_over() {
                    let turns = running.record.request.max_turns;
                    let error = format!("the task used its {turns} turns without coming to an end (maxTurns)");
                    self.interrupt(Failure::new(ErrorType::MaxTurns, error), tasks);
                }
            }
            AgentSignal::Ended(end) => self.on_turn_end(*end, context),
            AgentSignal::Asked { request_id, subtype, call } => self.on_asked(&request_id, &subtype, call, context),
            AgentSignal::Cancelled { request_id } => self.on_cancelled(&request_id, context),
            AgentSignal::Answered { request_id, answer } => {
                if let Err(error) = &answer {
                    info!(session.id = %durable.id(), request.id = request_id, error, "the agent refused a request");
                }
                self.on_model_answer(&request_id, answer.as_ref().err().map(String::as_str), context);
                self.on_answer(&request_id, answer.ok().flatten().as_deref(), context);
            }
        }
    }

    /// The template allows every call of a tool, because the sandbox is the boundary. The CLI's own check of commands adds nothing.
    pub(super) fn allows_every_call(&self) -> bool {
        let mode = self.template.as_ref().map(|template| template.settings.permission_mode);
        mode == Some(PermissionMode::BypassPermissions)
    }

    fn on_turn_end(&mut self, end: TurnEnd, context: &mut LineContext<'_>) {
        let LineContext { tasks, durable, gateway } = context;
        gateway.release_requests();
        // A turn that the CLI started by itself ends no task.
        if end.unasked {
            return;
        }
        if tasks.running().is_some_and(Running::is_accepted) {
            self.withdraw_asks(tasks, durable);
        }
        let Some(mut running) = tasks.take_accepted() else { return };
        let before = self.dialogue.cli_total;
        let total = end.cli_cost.unwrap_or(before);
        running.add_cli_cost((total - before).max(0.0));
        self.dialogue.cli_total = total;
        let schema = self.template.as_ref().and_then(|template| template.output_schema.as_ref());
        let record = match running.judge(end, gateway.failure(), schema) {
            TurnOutcome::Repair { schema_error } => {
                let text = repair_text(&schema_error);
                let running = tasks.set_running(running);
                running.repair(schema_error);
                self.outbox.push(user_message(&running.prompt().to_string(), &text));
                return;
            }
            TurnOutcome::Completed { output, response } => {
                gateway.end_task(task_end(None));
                let record = running.complete(gateway.usage(), output, response);
                durable.count_turn();
                failpoint!("result.received");
                record
            }
            TurnOutcome::Failed(failure) => {
                if matches!(gateway.failure(), Some(GatewayFailure::ModelRefused { .. })) {
                    self.forget_model();
                }
                gateway.end_task(task_end(Some(&failure)));
                running.fail(gateway.usage(), failure)
            }
        };
        tasks.write_end(record, EndedBy::Request, durable);
        self.next = tasks.unsettled().is_none().then_some(Input::Ended);
    }
}

/// Does long work while other threads run the tasks that wait for this one.
fn beside_others<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        // There is no other thread.
        Ok(_) | Err(_) => work(),
    }
}

fn pace_tool_call(running: &mut Running, tool: String, caller: Caller, gateway: &SandboxGateway) {
    running.called(tool, caller);
    // The request of the forbidden next turn may be sent before the end of this turn is read.
    if running.waits_for_last_tools() {
        gateway.hold_requests();
    } else {
        gateway.release_requests();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio_util::task::TaskTracker;

    use super::beside_others;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn long_work_of_one_session_stops_no_other() {
        let (sender, receiver) = mpsc::channel();
        let tracker = TaskTracker::new();
        let long = tracker.spawn(async move {
            // The other task is on the only thread behind this one.
            let other = TaskTracker::new().spawn(async move { sender.send(()) });
            let result = beside_others(|| receiver.recv_timeout(Duration::from_mins(1)));
            other.await.unwrap().unwrap();
            result
        });
        long.await.unwrap().expect("the other task did not run");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_at_once() {
        assert_eq!(beside_others(|| 7), 7);
    }
}
