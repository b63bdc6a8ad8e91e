//! Asks: questions of an agent to a person, and the answers.

use domain::ask::AskId;
use domain::session::SessionId;
use domain::task::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::time::Time;

/// The subject of an ask: a call of a tool, questions of the agent, or a plan
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    Permission,
    Question,
    Plan,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// An ask is open until it ends, once
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskState {
    Open,
    Answered,
    Expired,
    Withdrawn,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskDecision {
    Allow,
    Deny,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The kind of the decision's author: a caller with an API key, a caller without one, or nobody in time
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    Key,
    Client,
    Timeout,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The time for which a decision is kept for the same call
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remember {
    Task,
    Session,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The decision about an ask that nobody answers in time
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    Allow,
    Deny,
    Fail,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskQuestion {
    pub question: String,
    pub header: String,
    pub options: Vec<AskOption>,
    /// several labels may be chosen
    pub multi_select: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AskOption {
    pub label: String,
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub preview: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    #[schema(value_type = String)]
    pub id: AskId,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    #[schema(value_type = String)]
    pub task_id: TaskId,
    pub kind: AskKind,
    pub state: AskState,
    pub tool: String,
    pub tool_use_id: String,
    /// the tool's input, with secrets masked; beyond 64 KiB a string with its beginning
    #[schema(required)]
    pub input: Value,
    /// `input` was cut
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truncated: Option<bool>,
    /// the agent's words for the call
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// the rule of the policy that made the call an ask
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub asked_by: Option<String>,
    /// the rule that `remember` keeps; without it the decision cannot be remembered
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rule: Option<String>,
    /// of an ask of kind `question`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub questions: Vec<AskQuestion>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Time,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
    pub on_timeout: OnTimeout,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub ended: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub decision: Option<AskDecision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub by: Option<DecidedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// the answers by question: a text, or a list of labels
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    pub answers: Option<Map<String, Value>>,
    /// the input with which the tool ran instead
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    pub changed_input: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remember: Option<Remember>,
}

/// The answer to an ask: a `decision`, or `answers` to its questions
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskAnswer {
    /// may be left out beside `answers`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<AskDecision>,
    /// the reason that the agent reads when a call is denied
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 10000)]
    pub message: Option<String>,
    /// the input with which the tool runs instead; at most 256 KiB
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Value>,
    /// an answer for each question: a label, a text of your own, or a list of labels where `multiSelect` is true
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub answers: Option<Value>,
    /// keeps the decision for the rest of the task or of the session, for the call that `rule` describes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<Remember>,
}

/// The field `asks` of a task, which can only make the table of its agent stricter
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskAsks {
    /// for calls that no rule decides: `allow`, `ask` or `deny`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Stance>,
    /// more rules for calls that are asked
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 200, required = false)]
    pub ask: Vec<String>,
    /// more rules for calls that are denied
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 200, required = false)]
    pub deny: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plans: Option<Stance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_728_000_000)]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 600_000)]
    pub hold_ms: Option<u64>,
}

/// The decision about a call
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    Allow,
    Ask,
    Deny,
}

impl From<&domain::ask::AskRecord> for Ask {
    fn from(record: &domain::ask::AskRecord) -> Self {
        let end = &record.end;
        let question = |question: &domain::ask::Question| AskQuestion {
            question: question.question.clone(),
            header: question.header.clone(),
            options: question.options.iter().map(option).collect(),
            multi_select: question.multi_select,
        };
        Ask {
            id: record.id.clone(),
            session_id: record.session_id.clone(),
            task_id: record.task_id.clone(),
            kind: record.kind.into(),
            state: record.state.into(),
            tool: record.tool.clone(),
            tool_use_id: record.tool_use_id.clone(),
            input: record.input.clone(),
            truncated: record.truncated.then_some(true),
            title: record.title.clone(),
            description: record.description.clone(),
            asked_by: record.asked_by.as_ref().map(ToString::to_string),
            rule: record.rule.as_ref().map(ToString::to_string),
            questions: record.questions.iter().map(question).collect(),
            created: record.created.into(),
            expires_at: record.expires_at.into(),
            on_timeout: match record.on_timeout {
                domain::ask::OnTimeout::Allow => OnTimeout::Allow,
                domain::ask::OnTimeout::Deny => OnTimeout::Deny,
                domain::ask::OnTimeout::Fail => OnTimeout::Fail,
            },
            ended: end.ended.map(Time),
            decision: end.decision.map(Into::into),
            by: end.by.map(|by| match by {
                domain::ask::DecidedBy::Key => DecidedBy::Key,
                domain::ask::DecidedBy::Client => DecidedBy::Client,
                domain::ask::DecidedBy::Timeout => DecidedBy::Timeout,
            }),
            message: end.message.clone(),
            answers: end.answers.clone(),
            changed_input: end.changed_input.clone(),
            remember: end.remember.map(|remember| match remember {
                domain::ask::Remember::Task => Remember::Task,
                domain::ask::Remember::Session => Remember::Session,
            }),
        }
    }
}

fn option(option: &domain::ask::QuestionOption) -> AskOption {
    AskOption { label: option.label.clone(), description: option.description.clone(), preview: option.preview.clone() }
}

impl From<domain::ask::AskKind> for AskKind {
    fn from(kind: domain::ask::AskKind) -> Self {
        match kind {
            domain::ask::AskKind::Permission => AskKind::Permission,
            domain::ask::AskKind::Question => AskKind::Question,
            domain::ask::AskKind::Plan => AskKind::Plan,
        }
    }
}

impl From<domain::ask::AskState> for AskState {
    fn from(state: domain::ask::AskState) -> Self {
        match state {
            domain::ask::AskState::Open => AskState::Open,
            domain::ask::AskState::Answered => AskState::Answered,
            domain::ask::AskState::Expired => AskState::Expired,
            domain::ask::AskState::Withdrawn => AskState::Withdrawn,
        }
    }
}

impl From<domain::ask::AskDecision> for AskDecision {
    fn from(decision: domain::ask::AskDecision) -> Self {
        match decision {
            domain::ask::AskDecision::Allow => AskDecision::Allow,
            domain::ask::AskDecision::Deny => AskDecision::Deny,
        }
    }
}
