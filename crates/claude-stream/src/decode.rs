//! Decodes one line of JSON to one event. The decoder reads the type first and then only the fields of that type; it
//! skips everything else without building it.

mod assistant;
mod control;
mod head;
mod lifecycle;
mod result;
mod stream;
mod system;
mod user;

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::event::AgentEvent;
use head::Head;

/// Returns `None` if the line is not JSON. A duplicate of a key that is read makes the line unknown; of several `type`
/// keys the first counts.
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

/// Returns `None` if the type is unknown, a field does not fit, or the line is not JSON. Every variant reads the line
/// to its end.
fn known<'a>(head: &Head<'a>, line: &'a str) -> Option<AgentEvent<'a>> {
    match head.kind.as_ref() {
        "stream_event" => stream::decode(line),
        "assistant" => assistant::decode(line),
        "user" => user::decode(line),
        "system" => system::decode(head.subtype.as_deref()?, line),
        "result" => result::decode(line),
        "command_lifecycle" => lifecycle::decode(line),
        "control_response" => control::decode_response(line),
        "control_request" => control::decode_request(line),
        "control_cancel_request" => control::decode_cancel(line),
        _ => None,
    }
}
