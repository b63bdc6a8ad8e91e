//! Asks: durable questions of an agent to a person, and the policy that decides which tool calls become one.
//!
//! | module | contains |
//! |---|---|
//! | `policy` | the table `[asks]` of agent.toml, and how a task narrows it |
//! | `rule` | rules in Claude Code's own form: `Read`, `Bash(npm test:*)`, `Edit(/src/**)`, `mcp__billing__*` |
//! | `path` | the patterns of paths in rules |
//! | `shell` | the commands in a text that Bash is to run |
//! | `command` | one of these commands against a rule |
//! | `verdict` | a call of a tool against a policy |
//! | `record`, `id` | an ask as it is stored, and its id |
//! | `answer` | what a person answers, and whether it fits the ask |

mod answer;
mod command;
mod id;
mod path;
mod policy;
mod record;
mod rule;
mod shell;
mod verdict;

pub use answer::{AnswerProblem, AskAnswer, Question, QuestionOption, questions_of};
pub use id::{AskId, InvalidAskId};
pub use policy::{AskPolicy, MAX_HOLD_MS, MAX_RULES, MAX_TIMEOUT_MS, Narrowing, NarrowingProblem, OnTimeout, Stance};
pub use record::{AskDecision, AskEnd, AskKind, AskRecord, AskState, DecidedBy, Remember, Remembered};
pub use rule::{InvalidRule, Rule};
pub use verdict::{ToolCall, Verdict, rule_to_remember};

#[cfg(test)]
mod tests;
