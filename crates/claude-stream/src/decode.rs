//! One line of JSON to one event. The type is looked at first, then only the fields of that type are read; what the rest of
//! the line holds is skipped over, not built.

mod assistant;
mod control;
mod head;
mod result;
mod stream;
mod system;
mod user;

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::event::AgentEvent;
use head::Head;

/// `None`: not JSON. A key that is read and comes twice makes the line unknown; of several `type`s the first counts.
pub(crate) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    if let Some(event) = Head::peek(line).and_then(|head| known(&head, line)) {
        return Some(event);
    }
    let Some(head) = Head::read(line) else {
        let is_json = serde_json::from_str::<IgnoredAny>(line).is_ok();
        return is_json.then_some(AgentEvent::Unknown { kind: Cow::Borrowed("") });
    };
    Some(known(&head, line).unwrap_or_else(|| AgentEvent::Unknown { kind: head.into_kind() }))
}

/// `None`: not known, does not fit, or not JSON. Each of these reads the line to its end.
fn known<'a>(head: &Head<'a>, line: &'a str) -> Option<AgentEvent<'a>> {
    match head.kind.as_ref() {
        "stream_event" => stream::decode(line),
        "assistant" => assistant::decode(line),
        "user" => user::decode(line),
        "system" => system::decode(head.subtype.as_deref()?, line),
        "result" => result::decode(line),
        "control_response" => control::decode_response(line),
        "control_request" => control::decode_request(line),
        _ => None,
    }
}
