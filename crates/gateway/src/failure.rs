//! The reason why a task's model requests failed.

/// A failure upstream, with a sentence for a person. The CLI itself reports these as successes or hides them
/// behind minutes of retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayFailure {
    /// The credential has expired, or the API refuses it.
    AuthExpired { sentence: String },
    /// No credential is configured.
    NoCredential { sentence: String },
    /// The API is overloaded, or the account's limit or balance is used up.
    CapacityReached { sentence: String },
    /// A budget is used up.
    BudgetExceeded { sentence: String },
    /// The API does not have the task's model, or the agent asked for another one. A later success does not clear this, because it
    /// would be another model's.
    ModelRefused { sentence: String },
    /// The API refuses the request itself. A later success clears this, because the CLI corrects some requests by itself.
    BadRequest { sentence: String },
    /// The API was unreachable or failed. A later success clears this, because the CLI retries.
    Unreachable { sentence: String },
}

impl GatewayFailure {
    pub fn sentence(&self) -> &str {
        match self {
            GatewayFailure::AuthExpired { sentence }
            | GatewayFailure::NoCredential { sentence }
            | GatewayFailure::CapacityReached { sentence }
            | GatewayFailure::BudgetExceeded { sentence }
            | GatewayFailure::ModelRefused { sentence }
            | GatewayFailure::BadRequest { sentence }
            | GatewayFailure::Unreachable { sentence } => sentence,
        }
    }

    /// Returns true if a later success clears this failure.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            GatewayFailure::BadRequest { .. } | GatewayFailure::Unreachable { .. } => true,
            GatewayFailure::AuthExpired { .. }
            | GatewayFailure::NoCredential { .. }
            | GatewayFailure::CapacityReached { .. }
            | GatewayFailure::BudgetExceeded { .. }
            | GatewayFailure::ModelRefused { .. } => false,
        }
    }
}
