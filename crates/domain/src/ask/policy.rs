//! The policy of a task: which calls of tools are allowed, asked or denied.

use serde::{Deserialize, Serialize};

use super::Rule;

/// The most rules in one list.
pub const MAX_RULES: usize = 200;

/// The longest time that an ask stays open: 20 days, because the CLI's own timers end after 24.
pub const MAX_TIMEOUT_MS: u64 = 20 * 24 * 60 * 60 * 1000;

/// The longest time that a sandbox is kept for a quick answer.
pub const MAX_HOLD_MS: u64 = 600_000;

const TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
const HOLD_MS: u64 = 60_000;

/// The decision about a call that no rule decides, or about a plan. Later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    Allow,
    Ask,
    Deny,
}

/// The decision about an ask that nobody answers in time. Later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    Allow,
    Deny,
    /// The task fails as `ask_expired`.
    Fail,
}

/// The table `[asks]` of an agent, narrowed by its task. It is stored with the task, which keeps it over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskPolicy {
    pub tools: Stance,
    pub allow: Vec<Rule>,
    pub ask: Vec<Rule>,
    pub deny: Vec<Rule>,
    /// AskUserQuestion is an ask. False: it is denied.
    pub questions: bool,
    pub plans: Stance,
    pub timeout_ms: u64,
    pub on_timeout: OnTimeout,
    pub hold_ms: u64,
}

/// The field `asks` of a task. It can only make a policy stricter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    pub tools: Option<Stance>,
    pub ask: Vec<Rule>,
    pub deny: Vec<Rule>,
    pub questions: Option<bool>,
    pub plans: Option<Stance>,
    pub timeout_ms: Option<u64>,
    pub on_timeout: Option<OnTimeout>,
    pub hold_ms: Option<u64>,
}

/// A field of a task's `asks` that would make its agent's policy less strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: a task can only make its agent's table [asks] stricter, which has {has}")]
pub struct NarrowingProblem {
    pub field: &'static str,
    pub has: &'static str,
}

impl Stance {
    pub const fn as_str(self) -> &'static str {
        match self {
            Stance::Allow => "allow",
            Stance::Ask => "ask",
            Stance::Deny => "deny",
        }
    }
}

impl OnTimeout {
    pub const fn as_str(self) -> &'static str {
        match self {
            OnTimeout::Allow => "allow",
            OnTimeout::Deny => "deny",
            OnTimeout::Fail => "fail",
        }
    }
}

/// A table without keys.
impl Default for AskPolicy {
    fn default() -> Self {
        AskPolicy {
            tools: Stance::Allow,
            allow: Vec::new(),
            ask: Vec::new(),
            deny: Vec::new(),
            questions: true,
            plans: Stance::Ask,
            timeout_ms: TIMEOUT_MS,
            on_timeout: OnTimeout::Deny,
            hold_ms: HOLD_MS,
        }
    }
}

impl AskPolicy {
    /// The policy of an agent without a table, for a task that narrows it: nothing is asked, and questions are denied.
    pub fn without_table() -> Self {
        AskPolicy { questions: false, plans: Stance::Deny, ..AskPolicy::default() }
    }

    /// The policy of a task.
    pub fn narrowed(mut self, by: Narrowing) -> Result<Self, NarrowingProblem> {
        self.tools = stricter("tools", self.tools, by.tools, Stance::as_str)?;
        self.plans = stricter("plans", self.plans, by.plans, Stance::as_str)?;
        self.on_timeout = stricter("onTimeout", self.on_timeout, by.on_timeout, OnTimeout::as_str)?;
        match by.questions {
            Some(true) if !self.questions => return Err(NarrowingProblem { field: "questions", has: "false" }),
            asked => self.questions = asked.unwrap_or(self.questions),
        }
        if self.on_timeout == OnTimeout::Allow && by.timeout_ms.is_some_and(|wanted| wanted < self.timeout_ms) {
            return Err(NarrowingProblem {
                field: "timeoutMs",
                has: "onTimeout allow, so that a shorter time allows sooner",
            });
        }
        self.timeout_ms = shorter("timeoutMs", self.timeout_ms, by.timeout_ms)?;
        self.hold_ms = shorter("holdMs", self.hold_ms, by.hold_ms)?;
        self.ask.extend(by.ask);
        self.deny.extend(by.deny);
        Ok(self)
    }
}

fn stricter<T: Copy + PartialOrd>(
    field: &'static str,
    has: T,
    wanted: Option<T>,
    name: fn(T) -> &'static str,
) -> Result<T, NarrowingProblem> {
    match wanted {
        Some(wanted) if wanted < has => Err(NarrowingProblem { field, has: name(has) }),
        wanted => Ok(wanted.unwrap_or(has)),
    }
}

fn shorter(field: &'static str, has: u64, wanted: Option<u64>) -> Result<u64, NarrowingProblem> {
    match wanted {
        Some(wanted) if wanted > has => Err(NarrowingProblem { field, has: "a shorter time" }),
        wanted => Ok(wanted.unwrap_or(has)),
    }
}
