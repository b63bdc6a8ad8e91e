//! The calls of tools that the agent asks about, until they end. They are stored with the dialogue, so that the next coordinator
//! answers the same requests.

use std::collections::BTreeMap;

use claude_stream::{Asker, HookAnswer, allow_tool, deny_tool, hook_answer};
use domain::ask::AskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::to_raw_value;

/// The calls by their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Calls(BTreeMap<String, Call>);

/// One call: the CLI may ask twice about it, and gets the same decision.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Call {
    requests: Vec<CallRequest>,
    /// The ask that decides.
    ask: Option<AskId>,
    /// `None`: a person has to decide.
    decision: Option<CallDecision>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CallRequest {
    id: String,
    by: RequestBy,
    /// This coordinator has answered it.
    #[serde(skip)]
    is_answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestBy {
    Hook,
    Permission,
}

/// The decision about a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallDecision {
    /// The hook leaves the decision to the CLI, which may ask again.
    Undecided,
    /// The tool runs, with this input where there is one.
    Allow {
        input: Option<Value>,
    },
    Deny {
        message: String,
    },
}

/// The state of a call that the CLI asks about.
pub(super) enum Known {
    Nothing,
    /// A person has not decided yet.
    Open,
    Decided(CallDecision),
    /// The id belongs to another call, whose decision says nothing about this one.
    Foreign,
}

impl Calls {
    /// Notes a request. Returns what is known about its call.
    pub(super) fn note(&mut self, tool_use_id: &str, request_id: &str, asker: Asker) -> Known {
        let by = match asker {
            Asker::Hook => RequestBy::Hook,
            Asker::Permission => RequestBy::Permission,
        };
        let call = self.0.entry(tool_use_id.to_owned()).or_default();
        let is_other = |request: &CallRequest| request.by == RequestBy::Hook && request.id != request_id;
        if by == RequestBy::Hook && call.requests.iter().any(is_other) {
            return Known::Foreign;
        }
        // The next coordinator may read a request again.
        if !call.requests.iter().any(|request| request.id == request_id) {
            call.requests.push(CallRequest { id: request_id.to_owned(), by, is_answered: false });
        }
        match (&call.decision, &call.ask, by) {
            (Some(CallDecision::Undecided), _, RequestBy::Permission) | (None, None, _) => Known::Nothing,
            (Some(decision), _, _) => Known::Decided(decision.clone()),
            (None, Some(_), _) => Known::Open,
        }
    }

    pub(super) fn opened(&mut self, tool_use_id: &str, ask: AskId) {
        let call = self.0.entry(tool_use_id.to_owned()).or_default();
        (call.ask, call.decision) = (Some(ask), None);
    }

    /// Decides a call. Returns the lines that tell the agent.
    pub(super) fn decide(&mut self, tool_use_id: &str, decision: CallDecision) -> Vec<String> {
        let Some(call) = self.0.get_mut(tool_use_id) else { return Vec::new() };
        call.decision = Some(decision);
        call.lines()
    }

    /// True if the call waits for this ask.
    pub(super) fn waits_for(&self, tool_use_id: &str, ask: &AskId) -> bool {
        self.0.get(tool_use_id).is_some_and(|call| call.decision.is_none() && call.ask.as_ref() == Some(ask))
    }

    /// The call whose request the CLI no longer waits for.
    pub(super) fn of_request(&self, request_id: &str) -> Option<String> {
        let asks = |call: &Call| call.requests.iter().any(|request| request.id == request_id);
        self.0.iter().find(|(_, call)| asks(call)).map(|(tool_use_id, _)| tool_use_id.clone())
    }

    /// The call has ended. Returns true if it was known.
    pub(super) fn ended(&mut self, tool_use_id: &str) -> bool {
        self.0.remove(tool_use_id).is_some()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The lines of all decisions that this coordinator has not sent. The CLI ignores the answer to a request that it no longer has.
    pub(super) fn decided_lines(&mut self) -> Vec<String> {
        self.0.values_mut().flat_map(Call::lines).collect()
    }
}

impl Call {
    fn lines(&mut self) -> Vec<String> {
        let Some(decision) = &self.decision else { return Vec::new() };
        // The second request about an undecided call has a decision of its own.
        let due = |request: &&mut CallRequest| {
            !request.is_answered && (*decision != CallDecision::Undecided || request.by == RequestBy::Hook)
        };
        let due = self.requests.iter_mut().filter(due);
        due.map(|request| {
            request.is_answered = true;
            request.line(decision)
        })
        .collect()
    }
}

impl CallRequest {
    fn line(&self, decision: &CallDecision) -> String {
        let input = match decision {
            CallDecision::Allow { input } => input.as_ref().and_then(|input| to_raw_value(input).ok()),
            CallDecision::Undecided | CallDecision::Deny { .. } => None,
        };
        match (self.by, decision) {
            (RequestBy::Hook, CallDecision::Undecided) => hook_answer(&self.id, HookAnswer::Undecided),
            (RequestBy::Hook, CallDecision::Allow { .. }) => {
                hook_answer(&self.id, HookAnswer::Allow { updated_input: input.as_deref() })
            }
            (RequestBy::Hook, CallDecision::Deny { message }) => {
                hook_answer(&self.id, HookAnswer::Deny { reason: message })
            }
            (RequestBy::Permission, CallDecision::Allow { .. }) => allow_tool(&self.id, input.as_deref()),
            (RequestBy::Permission, CallDecision::Deny { message }) => deny_tool(&self.id, message),
            (RequestBy::Permission, CallDecision::Undecided) => deny_tool(&self.id, NOBODY),
        }
    }
}

/// The answer to a question that no person can be asked.
pub(super) const NOBODY: &str = "no person is available to answer";
