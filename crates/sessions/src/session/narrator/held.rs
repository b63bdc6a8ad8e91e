//! Streamed text on its way through the redactor: an end that could be the beginning of a secret is held back until
//! more of the text arrives.

use claude_stream::AgentEvent;
use domain::event::{Event, Origin};
use observe::redact::SessionRedactor;
use serde::{Deserialize, Serialize};

use super::{Narrator, push_text, push_thinking};

/// The part of one text that is held back. It is stored with the task's progress, so that the next coordinator has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    parent: Option<String>,
    thinking: bool,
    text: String,
}

impl Narrator {
    /// Returns true if a text is held back.
    pub(crate) fn holds_text(&self) -> bool {
        !self.held.is_empty()
    }

    /// Publishes all held texts: none of them continues.
    pub(crate) fn release_all(&mut self, events: &mut Vec<Event>) {
        for held in std::mem::take(&mut self.held) {
            held.publish(events);
        }
    }

    pub(super) fn stream(
        &mut self,
        thinking: bool,
        piece: &str,
        origin: Origin,
        secrets: &SessionRedactor,
        events: &mut Vec<Event>,
    ) {
        let own = |held: &Held| held.parent == origin.parent_tool_use_id && held.thinking == thinking;
        let mut rest = match self.held.iter().position(own) {
            Some(at) => self.held.swap_remove(at).text,
            None => String::new(),
        };
        let text = secrets.pass(&mut rest, piece);
        if thinking {
            push_thinking(&text, &origin, events);
        } else {
            push_text(&text, &origin, events);
        }
        if !rest.is_empty() {
            self.held.push(Held { parent: origin.parent_tool_use_id, thinking, text: rest });
        }
    }

    /// Publishes the held texts that end with this line.
    pub(super) fn release_before(&mut self, event: &AgentEvent<'_>, events: &mut Vec<Event>) {
        if self.held.is_empty() {
            return;
        }
        match event {
            AgentEvent::BlockStart { parent, .. }
            | AgentEvent::BlockStop { parent, .. }
            | AgentEvent::MessageStart { parent, .. }
            | AgentEvent::MessageDelta { parent, .. }
            | AgentEvent::MessageStop { parent, .. }
            | AgentEvent::Assistant { parent, .. }
            | AgentEvent::ToolResults { parent, .. } => {
                for held in self.held.extract_if(.., |held| held.parent.as_deref() == parent.as_deref()) {
                    held.publish(events);
                }
            }
            AgentEvent::Init { .. }
            | AgentEvent::UserReplay { .. }
            | AgentEvent::ApiRetry { .. }
            | AgentEvent::Result(_) => self.release_all(events),
            AgentEvent::TextDelta { .. }
            | AgentEvent::ThinkingDelta { .. }
            | AgentEvent::InputDelta { .. }
            | AgentEvent::Subagent { .. }
            | AgentEvent::ControlRequest { .. }
            | AgentEvent::ControlCancel { .. }
            | AgentEvent::ControlResponse { .. }
            | AgentEvent::CommandLifecycle { .. }
            | AgentEvent::Status { .. }
            | AgentEvent::UserText { .. }
            | AgentEvent::Unknown { .. } => {}
        }
    }
}

impl Held {
    fn publish(self, events: &mut Vec<Event>) {
        let origin = Origin { parent_tool_use_id: self.parent };
        if self.thinking {
            push_thinking(&self.text, &origin, events);
        } else {
            push_text(&self.text, &origin, events);
        }
    }
}
