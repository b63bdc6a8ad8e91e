//! What was decided about a sandbox's way out, for whoever keeps the audit log.

/// One decision. All texts but `session` are the agent's choice, bounded and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The session's name, once the sandbox has one.
    pub session: Option<&'a str>,
    /// `tunnel`, `plain` or `model`
    pub via: &'static str,
    /// `host:port`, as it was asked for; of a model request its method and path.
    pub target: &'a str,
    /// `allowed`, or `refused: ` and why.
    pub outcome: &'static str,
}

/// Takes decisions as they fall, several at once. Must not wait: the request does.
pub trait DecisionLog: Send + Sync + 'static {
    fn record(&self, decision: &Decision<'_>);
}

/// Lines of the log, under the target `audit`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoggedDecisions;

impl DecisionLog for LoggedDecisions {
    fn record(&self, decision: &Decision<'_>) {
        tracing::info!(
            target: "audit",
            {
                session.id = decision.session,
                egress.via = decision.via,
                egress.target = decision.target,
                egress.decision = decision.outcome,
            },
            "a sandbox's way out"
        );
    }
}
