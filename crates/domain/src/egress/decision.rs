//! The gateway's decision about a request from a sandbox, as the audit log and the metrics report it.

use std::fmt;

use super::Via;

/// The channel by which a request leaves a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressChannel {
    /// The model API.
    Model,
    /// The proxy to outside hosts.
    Proxy(Via),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressDecision {
    Allowed,
    Refused(EgressRefusal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressRefusal {
    /// The target is not written as a host and a port.
    Malformed,
    /// The Host header names another host than the target.
    OtherHost,
    NotAllowed,
    NotPublic,
    /// The target belongs to the coordinator or to the container engine.
    Protected,
    /// The model API is not reached by the proxy.
    ModelApi,
    NameNotFound,
    /// The task has exchanged all the bytes that it may.
    NoBytesLeft,
    /// The path of a model request, or its query, is not forwarded.
    NotForwarded,
    /// A model request would let the API reach other hosts, or change what it costs.
    ReachesFurther,
    NoTaskRuns,
}

impl EgressChannel {
    pub const fn as_str(self) -> &'static str {
        match self {
            EgressChannel::Model => "model",
            EgressChannel::Proxy(via) => via.word(),
        }
    }
}

impl EgressRefusal {
    pub const fn as_str(self) -> &'static str {
        match self {
            EgressRefusal::Malformed => "malformed",
            EgressRefusal::OtherHost => "another Host",
            EgressRefusal::NotAllowed => "not allowed",
            EgressRefusal::NotPublic => "not a public address",
            EgressRefusal::Protected => "the coordinator's or the engine's own",
            EgressRefusal::ModelApi => "the model API",
            EgressRefusal::NameNotFound => "name not found",
            EgressRefusal::NoBytesLeft => "no bytes left",
            EgressRefusal::NotForwarded => "not forwarded",
            EgressRefusal::ReachesFurther => "reaches further",
            EgressRefusal::NoTaskRuns => "no task runs",
        }
    }
}

/// As in the audit log: `allowed`, or `refused: ` and the reason.
impl fmt::Display for EgressDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EgressDecision::Allowed => formatter.write_str("allowed"),
            EgressDecision::Refused(reason) => write!(formatter, "refused: {}", reason.as_str()),
        }
    }
}
