//! An ask as the store has it. Its JSON is also its form on the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::answer::Question;
use super::policy::OnTimeout;
use super::{AskId, Rule};
use crate::session::SessionId;
use crate::task::TaskId;

/// The subject of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// May this tool be called?
    Permission,
    /// Questions of the agent, by AskUserQuestion.
    Question,
    /// Is this plan good?
    Plan,
}

/// An ask is open until it ends, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskState {
    Open,
    Answered,
    /// Nobody answered in time.
    Expired,
    /// Its task ended, or its agent no longer waits for it.
    Withdrawn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskDecision {
    Allow,
    Deny,
}

/// The author of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// A caller with an API key.
    Key,
    /// A caller without a key, on a server that has no keys.
    Client,
    /// Nobody answered in time.
    Timeout,
}

/// The time for which a decision is kept for the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remember {
    Task,
    Session,
}

/// A decision that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub rule: Rule,
    pub decision: AskDecision,
}

/// An ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskRecord {
    pub id: AskId,
    pub session_id: SessionId,
    pub task_id: TaskId,
    pub kind: AskKind,
    pub state: AskState,
    pub tool: String,
    pub tool_use_id: String,
    /// The tool's input, with secrets masked. If it exceeds [`AskRecord::MAX_INPUT_BYTES`], it is a JSON string with its beginning,
    /// and `truncated` is true.
    pub input: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The CLI's own words for the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The rule of the policy that made the call an ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<Rule>,
    /// The rule that `remember` keeps. `None`: the decision cannot be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The questions of an ask of this kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    #[serde(serialize_with = "in_milliseconds")]
    pub created: Timestamp,
    #[serde(serialize_with = "in_milliseconds")]
    pub expires_at: Timestamp,
    pub on_timeout: OnTimeout,
    #[serde(flatten)]
    pub end: AskEnd,
}

/// The end of an ask. It is empty while the ask is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskEnd {
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "in_milliseconds_if_any")]
    pub ended: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<AskDecision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DecidedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The answers by question: a text, or a list of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Map<String, Value>>,
    /// The input with which the tool runs instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_input: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<Remember>,
}

/// The form of a time on the wire.
fn in_milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
fn in_milliseconds_if_any<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => in_milliseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

impl AskRecord {
    /// The longest input that an ask shows whole.
    pub const MAX_INPUT_BYTES: usize = 64 * 1024;
}

impl AskKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            AskKind::Permission => "permission",
            AskKind::Question => "question",
            AskKind::Plan => "plan",
        }
    }
}

impl AskState {
    pub const ALL: [AskState; 4] = [AskState::Open, AskState::Answered, AskState::Expired, AskState::Withdrawn];

    pub const fn as_str(self) -> &'static str {
        match self {
            AskState::Open => "open",
            AskState::Answered => "answered",
            AskState::Expired => "expired",
            AskState::Withdrawn => "withdrawn",
        }
    }
}

impl AskDecision {
    pub const fn as_str(self) -> &'static str {
        match self {
            AskDecision::Allow => "allow",
            AskDecision::Deny => "deny",
        }
    }
}
