//! `{"type":"command_lifecycle","command_uuid":"…","state":"queued","uuid":"…","session_id":"…"}`

use serde::Deserialize;

use crate::event::AgentEvent;
use crate::text::Text;

pub(super) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        command_uuid: Text<'a>,
        #[serde(borrow)]
        state: Text<'a>,
    }
    let Line { command_uuid, state } = serde_json::from_str(line).ok()?;
    Some(AgentEvent::CommandLifecycle { uuid: command_uuid.0, state: state.0 })
}
