//! The reason why a task's model requests failed.

/// A failure upstream, with a sentence for a person. The CLI itself reports these as successes or hides them
/// behind minutes of retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayFailure {
    /// There is a credential, and it has expired or the API refuses it.
    AuthExpired { sentence: String },
    /// Nobody gave a credential.
    NoCredential { sentence: String },
    /// The API is overloaded, or the account's limit or balance is used up.
    CapacityReached { sentence: String },
    /// A budget is spent.
    BudgetExceeded { sentence: String },
    /// The API refuses the request itself. Forgotten when a later request succeeds: the CLI repairs some by itself.
    BadRequest { sentence: String },
    /// The API could not be reached, or broke. Forgotten when a later request succeeds: the CLI tries again.
    Unreachable { sentence: String },
}

impl GatewayFailure {
    pub fn sentence(&self) -> &str {
        match self {
            GatewayFailure::AuthExpired { sentence }
            | GatewayFailure::NoCredential { sentence }
            | GatewayFailure::CapacityReached { sentence }
            | GatewayFailure::BudgetExceeded { sentence }
            | GatewayFailure::BadRequest { sentence }
            | GatewayFailure::Unreachable { sentence } => sentence,
        }
    }

    /// Returns true when a later success makes this void.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            GatewayFailure::BadRequest { .. } | GatewayFailure::Unreachable { .. } => true,
            GatewayFailure::AuthExpired { .. }
            | GatewayFailure::NoCredential { .. }
            | GatewayFailure::CapacityReached { .. }
            | GatewayFailure::BudgetExceeded { .. } => false,
        }
    }
}
