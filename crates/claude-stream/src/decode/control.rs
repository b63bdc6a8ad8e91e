//! Control messages.
//!
//! `{"type":"control_response","response":{"subtype":"success","request_id":"…","response":{…}?}}`; a failure has the
//! subtype `error` and an `error` text. The CLI's own requests are
//! `{"type":"control_request","request_id":"…","request":{"subtype":"can_use_tool",…}}`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{AgentEvent, Asker, ToolPermission};
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

pub(super) fn decode_cancel(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        request_id: Text<'a>,
    }
    let Line { request_id } = serde_json::from_str(line).ok()?;
    Some(AgentEvent::ControlCancel { request_id: request_id.0 })
}

impl<'a> ToolPermission<'a> {
    /// Reads the inner object of a control request. Returns `None` if it is neither `can_use_tool` nor a `hook_callback` about a
    /// call, or names no tool.
    pub fn read(request: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            subtype: Text<'a>,
        }
        let Request { subtype } = serde_json::from_str(request.get()).ok()?;
        match subtype.0.as_ref() {
            "can_use_tool" => Self::read_permission(request),
            "hook_callback" => Self::read_hook(request),
            _ => None,
        }
    }

    fn read_permission(request: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            tool_name: Text<'a>,
            #[serde(borrow)]
            tool_use_id: Option<Text<'a>>,
            #[serde(borrow)]
            input: &'a RawValue,
            #[serde(borrow)]
            title: Option<Text<'a>>,
            #[serde(borrow)]
            description: Option<Text<'a>>,
            #[serde(borrow)]
            decision_reason_type: Option<Text<'a>>,
        }
        let request: Request<'_> = serde_json::from_str(request.get()).ok()?;
        Some(ToolPermission {
            asker: Asker::Permission,
            tool: request.tool_name.0,
            tool_use_id: plain(request.tool_use_id),
            input: request.input,
            title: plain(request.title),
            description: plain(request.description),
            reason: plain(request.decision_reason_type),
        })
    }

    fn read_hook(request: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow)]
            input: Input<'a>,
            #[serde(borrow)]
            tool_use_id: Option<Text<'a>>,
        }
        #[derive(Deserialize)]
        struct Input<'a> {
            #[serde(borrow, rename = "tool_name")]
            tool: Text<'a>,
            #[serde(borrow, rename = "tool_use_id")]
            id: Option<Text<'a>>,
            #[serde(borrow, rename = "tool_input")]
            json: &'a RawValue,
        }
        let Request { input, tool_use_id } = serde_json::from_str(request.get()).ok()?;
        Some(ToolPermission {
            asker: Asker::Hook,
            tool: input.tool.0,
            tool_use_id: plain(input.id.or(tool_use_id)),
            input: input.json,
            title: None,
            description: None,
            reason: None,
        })
    }
}
