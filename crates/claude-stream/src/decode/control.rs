//! Control messages.
//!
//! `{"type":"control_response","response":{"subtype":"success","request_id":"…","response":{…}?}}`; a failure has the
//! subtype `error` and an `error` text. The CLI's own requests are
//! `{"type":"control_request","request_id":"…","request":{"subtype":"can_use_tool",…}}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::AgentEvent;
use crate::text::{Text, plain};

pub(super) fn decode_response(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        response: Answer<'a>,
    }
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        subtype: Text<'a>,
        #[serde(borrow)]
        request_id: Text<'a>,
        #[serde(borrow)]
        response: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<Text<'a>>,
    }
    let Line { response } = serde_json::from_str(line).ok()?;
    let outcome = match response.subtype.0.as_ref() {
        "success" => Ok(response.response),
        "error" => Err(plain(response.error).unwrap_or_default().into_owned()),
        _ => return None,
    };
    Some(AgentEvent::ControlResponse { request_id: response.request_id.0, outcome })
}

pub(super) fn decode_request(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        request_id: Text<'a>,
        #[serde(borrow)]
        request: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        subtype: Text<'a>,
    }
    let Line { request_id, request } = serde_json::from_str(line).ok()?;
    let Request { subtype } = serde_json::from_str(request.get()).ok()?;
    Some(AgentEvent::ControlRequest { request_id: request_id.0, subtype: subtype.0, request })
}
