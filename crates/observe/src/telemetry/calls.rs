//! Tool calls without a result.

use domain::event::Event;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TaskTrace;

/// The open tool calls of one running task. They are stored with the task's progress, so that another coordinator knows
/// when they started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenCalls(Vec<OpenCall>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OpenCall {
    pub(super) tool: String,
    pub(super) id: String,
    /// The tool call that started the subagent which made this call.
    pub(super) parent: Option<String>,
    pub(super) began: Timestamp,
}

/// The maximum number of open calls. An agent has a few at once; further calls get no span.
const MOST: usize = 64;

impl OpenCalls {
    /// Applies the agent's latest events.
    pub fn apply(&mut self, events: &[Event], trace: &TaskTrace) {
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

    /// Ends all open calls, because no result will come.
    pub fn cut(&mut self, trace: &TaskTrace) {
        for call in self.0.drain(..) {
            trace.tool_called(&call, Some("cut"));
        }
    }
}
