//! Streamed text on its way through the redactor: an end that could be the beginning of a secret waits for what follows.

use claude_stream::AgentEvent;
use domain::event::{Event, Origin};
use observe::redact::SessionRedactor;
use serde::{Deserialize, Serialize};

use super::{Narrator, tell_text, tell_thinking};

/// What waits of one text. It is written down with the rest of the progress, so that it is not lost with the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    parent: Option<String>,
    thinking: bool,
    text: String,
}

impl Narrator {
    /// Whether something was heard that is not told yet.
    pub(crate) fn holds_text(&self) -> bool {
        !self.held.is_empty()
    }

    /// Tells all that waits: nothing will follow it.
    pub(crate) fn release_all(&mut self, events: &mut Vec<Event>) {
        for held in std::mem::take(&mut self.held) {
            held.tell(events);
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
            tell_thinking(&text, &origin, events);
        } else {
            tell_text(&text, &origin, events);
        }
        if !rest.is_empty() {
            self.held.push(Held { parent: origin.parent_tool_use_id, thinking, text: rest });
        }
    }

    /// Tells what waits of a text that ends with this line.
    pub(super) fn release_before(&mut self, event: &AgentEvent<'_>, events: &mut Vec<Event>) {
        if self.held.is_empty() {
            return;
        }
        match event {
            AgentEvent::BlockStart { parent, .. }
            | AgentEvent::BlockStop { parent, .. }
            | AgentEvent::MessageStart { parent, .. }
            | AgentEvent::MessageDelta { parent, .. }
            | AgentEvent::MessageStop { parent }
            | AgentEvent::Assistant { parent, .. }
            | AgentEvent::ToolResults { parent, .. } => {
                for held in self.held.extract_if(.., |held| held.parent.as_deref() == parent.as_deref()) {
                    held.tell(events);
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
            | AgentEvent::ControlResponse { .. }
            | AgentEvent::Status { .. }
            | AgentEvent::UserText { .. }
            | AgentEvent::Unknown { .. } => {}
        }
    }
}

impl Held {
    fn tell(self, events: &mut Vec<Event>) {
        let origin = Origin { parent_tool_use_id: self.parent };
        if self.thinking {
            tell_thinking(&self.text, &origin, events);
        } else {
            tell_text(&self.text, &origin, events);
        }
    }
}
