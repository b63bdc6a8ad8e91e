//! The outcome of a turn: the task completes, fails, or its agent is asked again.

use agent_template::output::find_object;
use agent_template::schema::OutputSchema;
use domain::task::{ErrorType, Failure};
use gateway::GatewayFailure;
use serde_json::Value;

use super::Running;
use crate::session::narrator::TurnEnd;

/// The consequence of the end of a turn.
#[derive(Debug)]
pub(crate) enum TurnOutcome {
    Completed {
        output: Option<Value>,
        response: Option<String>,
    },
    /// The agent is asked again for an answer that matches the schema.
    Repair {
        schema_error: String,
    },
    Failed(Failure),
}

impl Running {
    /// Decides on the consequence of the end of a turn: from the coordinator's and the gateway's observations first,
    /// from the agent's own account last.
    pub(crate) fn judge(
        &self,
        end: TurnEnd,
        gateway: Option<GatewayFailure>,
        schema: Option<&OutputSchema>,
    ) -> TurnOutcome {
        if let Some(failure) = self.progress.forced_failure.clone() {
            return TurnOutcome::Failed(failure);
        }
        if end.is_error {
            return TurnOutcome::Failed(
                gateway.map_or_else(|| agent_failure(&end), |failure| gateway_failure(&failure)),
            );
        }
        let Some(schema) = schema else {
            let text = end.text.unwrap_or_default();
            return match find_object(&text) {
                // The text around the object is part of the answer.
                Some(found) => TurnOutcome::Completed {
                    output: Some(Value::Object(found.object)),
                    response: found.has_prose.then_some(text),
                },
                None => TurnOutcome::Completed { output: None, response: Some(text) },
            };
        };
        let schema_error = match end.structured_output.as_ref().map(|output| schema.check(output)) {
            Some(Ok(())) => return TurnOutcome::Completed { output: end.structured_output, response: None },
            Some(Err(error)) => error,
            None => "the answer has no structured output".to_owned(),
        };
        if self.progress.schema_error.is_some() {
            let error = format!("the answer does not fit OUTPUT.schema.json: {schema_error}");
            TurnOutcome::Failed(Failure { error_type: ErrorType::InvalidOutput, error })
        } else {
            TurnOutcome::Repair { schema_error }
        }
    }
}

/// The failure of a turn that failed between the gateway and the model API.
pub(crate) fn gateway_failure(failure: &GatewayFailure) -> Failure {
    let error_type = match failure {
        GatewayFailure::AuthExpired { .. } => ErrorType::AuthExpired,
        GatewayFailure::NoCredential { .. } => ErrorType::NoCredential,
        GatewayFailure::CapacityReached { .. } => ErrorType::CapacityReached,
        GatewayFailure::BudgetExceeded { .. } => ErrorType::BudgetExceeded,
        GatewayFailure::ModelRefused { .. } => ErrorType::ModelRefused,
        GatewayFailure::Unreachable { .. } => ErrorType::ModelUnreachable,
        GatewayFailure::BadRequest { .. } => ErrorType::ExitCode,
    };
    Failure::new(error_type, failure.sentence())
}

/// The failure of a turn for a reason that only the agent reports.
fn agent_failure(end: &TurnEnd) -> Failure {
    let said = match (&end.text, end.errors.as_slice()) {
        (Some(text), _) if !text.is_empty() => text.clone(),
        (_, []) => end.subtype.clone(),
        (_, errors) => errors.join("; "),
    };
    let error_type = match (end.subtype.as_str(), end.api_error_status) {
        ("error_max_turns", _) => ErrorType::MaxTurns,
        ("error_max_budget_usd", _) => ErrorType::BudgetExceeded,
        ("error_max_structured_output_retries", _) => ErrorType::InvalidOutput,
        (_, Some(401 | 403)) => ErrorType::AuthExpired,
        (_, Some(429 | 529)) => ErrorType::CapacityReached,
        (_, Some(404)) => ErrorType::ModelRefused,
        _ => ErrorType::ExitCode,
    };
    Failure { error_type, error: format!("the agent failed: {}", said.chars().take(500).collect::<String>()) }
}
