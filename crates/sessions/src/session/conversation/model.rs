//! The model of the agent process, and of the running task.
//!
//! A process keeps the model of an earlier task. Before a task with another one, the CLI asks the model API for it, and the task's
//! message waits for the answer: if the API refuses, the turn would run on the earlier model.

use claude_stream::ControlRequest;
use domain::event::EndedBy;
use domain::task::{ErrorType, Failure};
use gateway::GatewayFailure;
use tokio::time::Instant;

use super::output::LineContext;
use super::{Conversation, End};
use crate::session::running::{Running, gateway_failure};
use crate::session::state::Input;
use crate::session::tasks::task_end;

/// A message that waits until the agent has changed its model.
#[derive(Debug)]
pub(super) struct HeldPrompt {
    /// The id of the request. It is derived from the message, so the next coordinator sends the same one.
    request_id: String,
    model: String,
    line: String,
}

impl Conversation {
    /// Returns the lines that give a message of the task to the agent: the message, or the change to the task's model if the agent
    /// has another one. The message then follows the answer.
    pub(super) fn lines_with_model(&mut self, running: &Running, line: String) -> Vec<String> {
        let model = &running.record.request.model;
        if self.dialogue.model.as_ref() == Some(model) {
            return vec![line];
        }
        let request_id = format!("model-{}", running.prompt());
        let change = ControlRequest::SetModel { model }.to_line(&request_id);
        self.held_prompt = Some(HeldPrompt { request_id, model: model.clone(), line });
        vec![change]
    }

    /// Processes the answer to a control request, if it is the one that a message waits for. `error`: the agent keeps its model.
    pub(super) fn on_model_answer(&mut self, request_id: &str, error: Option<&str>, context: &mut LineContext<'_>) {
        let Some(held) = self.held_prompt.take_if(|held| held.request_id == request_id) else { return };
        let Some(running) = context.tasks.running() else { return };
        let failure = match (running.forced_failure(), error) {
            // The task was to end before its turn began.
            (Some(failure), _) => failure.clone(),
            (None, Some(error)) => refusal(&held.model, error, context.gateway.failure()),
            (None, None) => {
                self.dialogue.model = Some(held.model);
                self.outbox.push(held.line);
                self.last_output = Instant::now();
                return;
            }
        };
        self.end_unsent(failure, context);
    }

    /// The agent asked for another model than the task: nothing is known about its model any more.
    pub(super) fn forget_model(&mut self) {
        self.dialogue.model = None;
    }

    /// Ends the running task, whose message was never sent.
    pub(super) fn end_unsent(&mut self, failure: Failure, context: &mut LineContext<'_>) {
        let LineContext { tasks, durable, gateway } = context;
        gateway.end_task(task_end(tasks.running().map(|running| running.reason(&failure))));
        self.end_running(End::new(failure, EndedBy::Request), gateway.usage(), tasks, durable);
        self.next = tasks.unsettled().is_none().then_some(Input::Ended);
    }
}

/// The failure of a task whose model the agent did not get. An API that is overloaded or does not take the credential has said
/// nothing about the model.
fn refusal(model: &str, error: &str, gateway: Option<GatewayFailure>) -> Failure {
    match gateway {
        Some(GatewayFailure::BadRequest { sentence }) => Failure::new(ErrorType::ModelRefused, sentence),
        Some(failure) => gateway_failure(&failure),
        None => Failure::new(ErrorType::ModelRefused, format!("the model {model} was refused: {error}")),
    }
}
