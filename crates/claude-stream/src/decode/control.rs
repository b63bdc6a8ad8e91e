//! Control messages.
//!
//! `{"type":"control_response","response":{"subtype":"success","request_id":"…","response":{…}?}}`; a failure has the
//! subtype `error` and an `error` text. The CLI's own requests are
//! `{"type":"control_request","request_id":"…","request":{"subtype":"can_use_tool",…}}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{AgentEvent, ToolPermission};
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

impl<'a> ToolPermission<'a> {
    /// Reads the inner object of a control request. Returns `None` if it is not `can_use_tool`, or names no tool.
    pub fn read(request: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            subtype: Text<'a>,
            #[serde(borrow)]
            tool_name: Text<'a>,
            #[serde(borrow)]
            input: &'a RawValue,
            #[serde(borrow)]
            decision_reason_type: Option<Text<'a>>,
        }
        let request: Request<'_> = serde_json::from_str(request.get()).ok()?;
        (request.subtype.0 == "can_use_tool").then(|| ToolPermission {
            tool: request.tool_name.0,
            input: request.input,
            reason: plain(request.decision_reason_type),
        })
    }
}
