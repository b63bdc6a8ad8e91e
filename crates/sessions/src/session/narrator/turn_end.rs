//! The end of a turn, as the agent reports it.

use claude_stream::{ResultSubtype, TurnResult};

/// The origins of turns that the CLI starts by itself.
const UNASKED: [&str; 2] = ["peer", "task-notification"];

/// The agent's own account of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TurnEnd {
    pub(crate) is_error: bool,
    pub(crate) subtype: String,
    pub(crate) api_error_status: Option<u16>,
    pub(crate) text: Option<String>,
    pub(crate) structured_output: Option<serde_json::Value>,
    pub(crate) cli_cost: Option<f64>,
    pub(crate) errors: Vec<String>,
    /// The CLI started the turn by itself, so it answers no message.
    pub(crate) unasked: bool,
}

impl From<TurnResult<'_>> for TurnEnd {
    fn from(result: TurnResult<'_>) -> Self {
        TurnEnd {
            unasked: result.origin.is_some_and(|origin| UNASKED.contains(&origin.as_ref())),
            is_error: result.is_error,
            subtype: subtype_name(result.subtype),
            api_error_status: result.api_error_status,
            text: result.result.map(std::borrow::Cow::into_owned),
            structured_output: result.structured_output.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            cli_cost: result.total_cost_usd,
            errors: result.errors.into_iter().map(std::borrow::Cow::into_owned).collect(),
        }
    }
}

/// The CLI's name of a subtype.
fn subtype_name(subtype: ResultSubtype<'_>) -> String {
    match subtype {
        ResultSubtype::Success => "success".to_owned(),
        ResultSubtype::ErrorMaxTurns => "error_max_turns".to_owned(),
        ResultSubtype::ErrorMaxBudget => "error_max_budget_usd".to_owned(),
        ResultSubtype::ErrorDuringExecution => "error_during_execution".to_owned(),
        ResultSubtype::ErrorMaxStructuredOutputRetries => "error_max_structured_output_retries".to_owned(),
        ResultSubtype::Other(name) => name.into_owned(),
    }
}
