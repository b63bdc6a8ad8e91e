//! Hosts outside the sandbox, and the rules that allow them.

mod host;
mod rule;

pub use host::{Host, InvalidHost};
pub use rule::{EgressRule, Grant, InvalidEgressRule, Origin, Via, origins_in_env};
