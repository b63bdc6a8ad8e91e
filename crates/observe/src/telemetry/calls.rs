//! Tool calls that wait for their result.

use domain::event::Event;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TaskTrace;

/// Those of one running task. Kept with what is known of it, so that another coordinator knows when they began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenCalls(Vec<OpenCall>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenCall {
    pub(super) tool: String,
    pub(super) id: String,
    /// The call that started the subagent which made this one.
    pub(super) parent: Option<String>,
    pub(super) began: Timestamp,
}

/// The agent has a few at once; calls beyond are not seen.
const MOST: usize = 64;

impl OpenCalls {
    /// Takes in what the agent did just now.
    pub fn hear(&mut self, events: &[Event], trace: &TaskTrace) {
        if !trace.is_kept() {
            return;
        }
        for event in events {
            if let Event::ToolStart { tool, tool_use_id, origin, .. } = event {
                if self.0.len() < MOST {
                    let (tool, id, parent) = (tool.clone(), tool_use_id.clone(), origin.parent_tool_use_id.clone());
                    self.0.push(OpenCall { tool, id, parent, began: Timestamp::now() });
                }
            } else if let Event::ToolEnd { tool_use_id, is_error, .. } = event
                && let Some(index) = self.0.iter().position(|call| call.id == *tool_use_id)
            {
                trace.tool_called(&self.0.swap_remove(index), is_error.then_some("tool_error"));
            }
        }
    }

    /// No result comes any more.
    pub fn cut(&mut self, trace: &TaskTrace) {
        for call in self.0.drain(..) {
            trace.tool_called(&call, Some("cut"));
        }
    }
}
