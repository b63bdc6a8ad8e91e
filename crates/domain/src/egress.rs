//! Hosts outside the sandbox, and the rules that allow them.

mod decision;
mod host;
mod rule;

pub use decision::{EgressChannel, EgressDecision, EgressRefusal};
pub use host::{Host, InvalidHost};
pub use rule::{EgressRule, Grant, InvalidEgressRule, Origin, Via, origins_in_env};
