//! `{"type":"result","subtype":"success","is_error":false,"result":"…","num_turns":1,"total_cost_usd":0.00375,…}`, in any
//! order.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{AgentEvent, ResultSubtype, TurnResult};
use crate::text::Text;

pub(super) fn decode(line: &str) -> Option<AgentEvent<'_>> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    let subtype = subtype(text(line.subtype).unwrap_or_default());
    Some(AgentEvent::Result(TurnResult {
        is_error: read(line.is_error).unwrap_or(subtype != ResultSubtype::Success),
        subtype,
        api_error_status: read(line.api_error_status),
        result: text(line.result),
        structured_output: line.structured_output,
        session_id: text(line.session_id).unwrap_or_default(),
        num_turns: read(line.num_turns).unwrap_or_default(),
        total_cost_usd: read(line.total_cost_usd),
        duration_ms: read(line.duration_ms).unwrap_or_default(),
        terminal_reason: text(line.terminal_reason),
        origin: read::<Origin<'_>>(line.origin).map(|Origin { kind: Text(kind) }| kind),
        errors: read::<Vec<Text<'_>>>(line.errors).into_iter().flatten().map(|Text(error)| error).collect(),
    }))
}

fn subtype(subtype: Cow<'_, str>) -> ResultSubtype<'_> {
    match subtype.as_ref() {
        "success" => ResultSubtype::Success,
        "error_max_turns" => ResultSubtype::ErrorMaxTurns,
        "error_max_budget_usd" => ResultSubtype::ErrorMaxBudget,
        "error_during_execution" => ResultSubtype::ErrorDuringExecution,
        "error_max_structured_output_retries" => ResultSubtype::ErrorMaxStructuredOutputRetries,
        _ => ResultSubtype::Other(subtype),
    }
}

fn read<'a, T: Deserialize<'a>>(field: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(field?.get()).ok()
}

fn text(field: Option<&RawValue>) -> Option<Cow<'_, str>> {
    read(field).map(|Text(text)| text)
}

/// Each field is parsed separately, so that one that does not fit does not affect the others.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    subtype: Option<&'a RawValue>,
    #[serde(borrow)]
    is_error: Option<&'a RawValue>,
    #[serde(borrow)]
    api_error_status: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    structured_output: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    num_turns: Option<&'a RawValue>,
    #[serde(borrow)]
    total_cost_usd: Option<&'a RawValue>,
    #[serde(borrow)]
    duration_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    terminal_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    origin: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Origin<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
}
