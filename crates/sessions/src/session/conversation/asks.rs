//! The asks of a session: which calls of its agent become one, and how each ends.

use std::collections::BTreeMap;
use std::time::Duration;

use claude_stream::HookAnswer;
use domain::ask::{
    AskAnswer, AskDecision, AskEnd, AskId, AskKind, AskRecord, AskState, DecidedBy, OnTimeout, Remember, Remembered,
    Rule, Stance, ToolCall, Verdict, questions_of, rule_to_remember,
};
use domain::event::Event;
use domain::task::{ErrorType, Failure};
use jiff::{SignedDuration, Timestamp};
use observe::redact::MASK;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, info};

use super::calls::{CallDecision, Known, NOBODY};
use super::{Conversation, LineContext};
use crate::session::durable::DurableState;
use crate::session::narrator::AskedCall;
use crate::session::request::AnswerError;
use crate::session::tasks::Tasks;

/// The most open asks of one task. The model asks again for a call beyond.
const MAX_OPEN: usize = 32;

/// The longest title and description of a call, in characters.
const MAX_WORDS: usize = 1000;

/// The most decisions that a session or a task remembers.
const MAX_REMEMBERED: usize = 200;

/// The asks of a session that are open, and what it remembers.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<AskId, AskRecord>,
    remembered: Vec<Remembered>,
    /// Lines that the agent gets once the decisions in them are durable.
    decided: Vec<String>,
}

impl Conversation {
    /// The CLI asks whether a tool may be called, or asks something else.
    pub(super) fn on_asked(
        &mut self,
        request_id: &str,
        subtype: &str,
        call: Option<Box<AskedCall>>,
        context: &mut LineContext<'_>,
    ) {
        debug!(session.id = %context.durable.id(), request = subtype, "the agent asked a question");
        let Some(call) = call else {
            return self.outbox.push(claude_stream::deny_tool(request_id, NOBODY));
        };
        let decision = match self.dialogue.calls.note(&call.tool_use_id, request_id, call.asker) {
            Known::Open => return,
            Known::Foreign => {
                let reason = "another call has this id: call the tool again";
                return self.outbox.push(claude_stream::hook_answer(request_id, HookAnswer::Deny { reason }));
            }
            Known::Decided(decision) => decision,
            Known::Nothing => match self.decide(&call, context) {
                Ok(decision) => decision,
                Err(asked_by) => return self.open_ask(*call, asked_by, context),
            },
        };
        let lines = self.dialogue.calls.decide(&call.tool_use_id, decision);
        self.outbox.extend(lines);
    }

    /// Decides a call by the policy of its task. `Err`: a person has to decide, because of this rule if there is one.
    fn decide(&self, call: &AskedCall, context: &LineContext<'_>) -> Result<CallDecision, Option<Rule>> {
        let is_hook = call.asker == claude_stream::Asker::Hook;
        let allow = CallDecision::Allow { input: None };
        let Some(running) = context.tasks.running() else { return Ok(deny("no task runs")) };
        if running.forced_failure().is_some() {
            return Ok(deny("the task is ending"));
        }
        let Some(policy) = &running.record.request.asks else {
            // As without a table: the CLI decides, and nobody can be asked.
            return Ok(match (is_hook, call.is_safety_check && self.allows_every_call()) {
                (true, _) => CallDecision::Undecided,
                (false, true) => allow,
                (false, false) => deny(NOBODY),
            });
        };
        let kept: Vec<Remembered> = running.remembered().iter().chain(&self.asks.remembered).cloned().collect();
        let verdict = policy.judge(&ToolCall::new(&call.tool, call.input.get()), &kept);
        if let Verdict::Deny(Some(rule)) = &verdict {
            return Ok(deny(&format!("the rule {rule} of this agent denies it")));
        }
        match (call.tool.as_str(), policy.plans) {
            ("AskUserQuestion", _) if !policy.questions => return Ok(deny(NOBODY)),
            ("ExitPlanMode" | "EnterPlanMode", Stance::Deny) => return Ok(deny("this agent makes no plans")),
            // These tools always ask by themselves.
            ("AskUserQuestion" | "ExitPlanMode" | "EnterPlanMode", _) if is_hook => return Ok(CallDecision::Undecided),
            ("EnterPlanMode", _) | ("ExitPlanMode", Stance::Allow) => {
                return if let Verdict::Ask(rule @ Some(_)) = verdict { Err(rule) } else { Ok(allow) };
            }
            ("AskUserQuestion", _) if questions_of(call.input.get()).is_none() => {
                return Ok(deny("the questions could not be read: ask again in the form of the tool"));
            }
            ("AskUserQuestion" | "ExitPlanMode", _) => return Err(None),
            _ => {}
        }
        match verdict {
            Verdict::Allow => Ok(allow),
            Verdict::Undecided if is_hook => Ok(CallDecision::Undecided),
            Verdict::Undecided if self.allows_every_call() => Ok(allow),
            Verdict::Undecided => Err(None),
            Verdict::Ask(rule) => Err(rule),
            Verdict::Deny(_) => Ok(deny("no rule of this agent allows it")),
        }
    }

    fn open_ask(&mut self, call: AskedCall, asked_by: Option<Rule>, context: &mut LineContext<'_>) {
        let LineContext { tasks, durable, .. } = context;
        let Some(running) = tasks.running_mut() else { return };
        let too_many = self.asks.open.len() >= MAX_OPEN;
        let json = call.input.get();
        let truncated = json.len() > AskRecord::MAX_INPUT_BYTES;
        let kind = kind_of(&call.tool);
        let refusal = match kind {
            _ if too_many => Some("too many questions are open: ask again later, one at a time"),
            AskKind::Question if truncated => Some("the questions are too long: ask again in fewer words"),
            AskKind::Question | AskKind::Permission | AskKind::Plan => None,
        };
        if let Some(refusal) = refusal {
            let lines = self.dialogue.calls.decide(&call.tool_use_id, deny(refusal));
            return self.outbox.extend(lines);
        }
        let policy = running.record.request.asks.clone().unwrap_or_default();
        let created = Timestamp::now();
        let input = if truncated {
            Value::String(json[..json.floor_char_boundary(AskRecord::MAX_INPUT_BYTES)].to_owned())
        } else {
            serde_json::from_str(json).unwrap_or_default()
        };
        let rule = rule_to_remember(&ToolCall::new(&call.tool, json));
        let ask = AskRecord {
            id: AskId::generate(),
            session_id: durable.id().clone(),
            task_id: running.record.id.clone(),
            kind,
            state: AskState::Open,
            tool_use_id: call.tool_use_id.clone(),
            input,
            truncated,
            title: call.title.map(shortened),
            description: call.description.map(shortened),
            asked_by,
            // A rule with a mask would describe other calls too.
            rule: rule.filter(|_| kind == AskKind::Permission && !json.contains(MASK)),
            questions: if kind == AskKind::Question { questions_of(json).unwrap_or_default() } else { Vec::new() },
            tool: call.tool,
            created,
            expires_at: created.saturating_add(signed(policy.timeout_ms)).unwrap_or(Timestamp::MAX),
            on_timeout: policy.on_timeout,
            end: AskEnd::default(),
        };
        info!(session.id = %durable.id(), task.id = %running.record.id, ask.id = %ask.id, "the agent asks a person");
        self.dialogue.calls.opened(&call.tool_use_id, ask.id.clone());
        durable.open_ask(&ask);
        durable.publish(&Event::Ask { ask: Box::new(ask.clone()) }, Some(&ask.task_id));
        self.asks.open.insert(ask.id.clone(), ask);
        if running.begin_wait() {
            durable.update_task(&running.record);
        }
    }

    /// A person answers. The agent gets the decision after the next commit.
    pub(crate) fn answer(
        &mut self,
        id: &AskId,
        answer: AskAnswer,
        by: DecidedBy,
        tasks: &mut Tasks,
        durable: &mut DurableState,
    ) -> Result<AskRecord, AnswerError> {
        let ask = self.asks.open.get(id).ok_or(AnswerError::NotOpen)?;
        let policy = tasks.running().and_then(|running| running.record.request.asks.as_ref());
        let policy = policy.ok_or(AnswerError::NotOpen)?;
        let end = answer.end(ask, policy).map_err(|problem| AnswerError::Invalid(problem.0))?;
        let remembered = ask.rule.clone().zip(end.decision).map(|(rule, decision)| Remembered { rule, decision });
        match (end.remember, remembered, tasks.running_mut()) {
            (Some(Remember::Task), Some(remembered), Some(running)) => {
                if running.remembered().len() >= MAX_REMEMBERED {
                    return Err(AnswerError::Invalid(format!(
                        "remember: a task remembers at most {MAX_REMEMBERED} decisions"
                    )));
                }
                running.remember(remembered);
            }
            (Some(Remember::Session), Some(remembered), _) => {
                if self.asks.remembered.len() >= MAX_REMEMBERED {
                    let sentence = format!("remember: a session remembers at most {MAX_REMEMBERED} decisions");
                    return Err(AnswerError::Invalid(sentence));
                }
                durable.remember_decision(remembered.clone());
                self.asks.remembered.retain(|kept| kept.rule != remembered.rule);
                self.asks.remembered.push(remembered);
            }
            (_, _, _) => {}
        }
        let end = AskEnd { by: Some(by), ..end };
        self.end_ask(id, AskState::Answered, end, tasks, durable).ok_or(AnswerError::NotOpen)
    }

    /// Ends the asks whose time is over. Returns a failure if their policy fails the task.
    pub(crate) fn expire_asks(&mut self, tasks: &mut Tasks, durable: &mut DurableState) -> Option<Failure> {
        let now = Timestamp::now();
        let over: Vec<AskId> =
            self.asks.open.values().filter(|ask| ask.expires_at <= now).map(|ask| ask.id.clone()).collect();
        let mut failure = None;
        for id in over {
            let Some(ask) = self.asks.open.get(&id) else { continue };
            let decision = match ask.on_timeout {
                // Nobody has given the answers.
                OnTimeout::Allow if ask.kind == AskKind::Question => AskDecision::Deny,
                OnTimeout::Allow => AskDecision::Allow,
                OnTimeout::Deny => AskDecision::Deny,
                OnTimeout::Fail => {
                    let error = format!("nobody answered the ask {id} in time (timeout_ms of [asks])");
                    failure.get_or_insert(Failure::new(ErrorType::AskExpired, error));
                    AskDecision::Deny
                }
            };
            let message = (decision == AskDecision::Deny).then(|| "nobody answered in time".to_owned());
            let end = AskEnd { decision: Some(decision), by: Some(DecidedBy::Timeout), message, ..AskEnd::default() };
            self.end_ask(&id, AskState::Expired, end, tasks, durable);
        }
        failure
    }

    /// Withdraws all open asks: their task ends, or starts again.
    pub(crate) fn withdraw_asks(&mut self, tasks: &mut Tasks, durable: &mut DurableState) {
        for id in self.asks.open.keys().cloned().collect::<Vec<_>>() {
            self.end_ask(&id, AskState::Withdrawn, AskEnd::default(), tasks, durable);
        }
    }

    /// The CLI no longer waits for the answer to a request.
    pub(super) fn on_cancelled(&mut self, request_id: &str, context: &mut LineContext<'_>) {
        if let Some(call) = self.dialogue.calls.of_request(request_id) {
            self.withdraw_call(&call, context);
        }
    }

    /// Calls have ended: nobody needs to decide about them any more.
    pub(super) fn on_calls_ended(&mut self, events: &[Event], context: &mut LineContext<'_>) {
        for event in events {
            if let Event::ToolEnd { tool_use_id, .. } = event
                && self.dialogue.calls.ended(tool_use_id)
            {
                self.withdraw_call(tool_use_id, context);
            }
        }
    }

    fn withdraw_call(&mut self, call: &str, context: &mut LineContext<'_>) {
        let open = self.asks.open.values().find(|ask| ask.tool_use_id == call).map(|ask| ask.id.clone());
        if let Some(id) = open {
            self.end_ask(&id, AskState::Withdrawn, AskEnd::default(), context.tasks, context.durable);
        }
    }

    /// Ends an ask, which is published with the next commit.
    fn end_ask(
        &mut self,
        id: &AskId,
        state: AskState,
        end: AskEnd,
        tasks: &mut Tasks,
        durable: &mut DurableState,
    ) -> Option<AskRecord> {
        let ask = self.asks.open.remove(id)?;
        let ask = AskRecord { state, end: AskEnd { ended: Some(Timestamp::now()), ..end }, ..ask };
        let lines = self.dialogue.calls.decide(&ask.tool_use_id, decision_of(&ask));
        self.asks.decided.extend(lines);
        durable.end_ask(&ask);
        let shown = Box::new(ask.clone());
        let event = match state {
            AskState::Open | AskState::Answered => Event::AskAnswered { ask: shown },
            AskState::Expired => Event::AskExpired { ask: shown },
            AskState::Withdrawn => Event::AskWithdrawn { ask: shown },
        };
        durable.publish(&event, Some(&ask.task_id));
        if self.asks.open.is_empty()
            && let Some(running) = tasks.running_mut()
            && running.end_wait()
        {
            durable.update_task(&running.record);
            self.last_output = Instant::now();
        }
        Some(ask)
    }

    /// The asks that the previous coordinator left. Those that no call waits for are withdrawn.
    pub(crate) fn restore_asks(
        &mut self,
        open: Vec<AskRecord>,
        remembered: Vec<Remembered>,
        tasks: &mut Tasks,
        durable: &mut DurableState,
    ) {
        self.asks = Asks { remembered, ..Asks::default() };
        let running = tasks.running().map(|running| running.record.id.clone());
        let mut orphans = Vec::new();
        for ask in open {
            let is_held =
                running.as_ref() == Some(&ask.task_id) && self.dialogue.calls.waits_for(&ask.tool_use_id, &ask.id);
            orphans.extend((!is_held).then(|| ask.id.clone()));
            self.asks.open.insert(ask.id.clone(), ask);
        }
        for id in orphans {
            self.end_ask(&id, AskState::Withdrawn, AskEnd::default(), tasks, durable);
        }
    }

    /// Sends again what the previous coordinator decided, because the agent may not have received it.
    pub(super) fn resend_decisions(&mut self) {
        self.outbox.extend(self.dialogue.calls.decided_lines());
    }

    /// The decisions are durable: the agent gets them.
    pub(crate) fn release_decisions(&mut self) {
        self.outbox.append(&mut self.asks.decided);
    }

    /// The session forgets what it remembers.
    pub(crate) fn forget_decisions(&mut self) {
        self.asks.remembered.clear();
    }

    pub(crate) fn has_open_asks(&self) -> bool {
        !self.asks.open.is_empty()
    }

    /// The time at which the next ask expires. The wall clock counts, which may jump.
    pub(crate) fn asks_expire_at(&self) -> Option<Instant> {
        let next = self.asks.open.values().map(|ask| ask.expires_at).min()?;
        let left: Duration = next.duration_since(Timestamp::now()).try_into().unwrap_or_default();
        // A clock that jumps is noticed within a minute.
        Some(Instant::now() + left.min(Duration::from_mins(1)))
    }
}

/// The CLI's and the model's words for a call.
fn shortened(text: String) -> String {
    if text.chars().count() <= MAX_WORDS { text } else { text.chars().take(MAX_WORDS).chain(['…']).collect() }
}

fn deny(message: &str) -> CallDecision {
    CallDecision::Deny { message: message.to_owned() }
}

fn kind_of(tool: &str) -> AskKind {
    match tool {
        "AskUserQuestion" => AskKind::Question,
        "ExitPlanMode" => AskKind::Plan,
        _ => AskKind::Permission,
    }
}

fn signed(milliseconds: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// The decision that the agent gets.
fn decision_of(ask: &AskRecord) -> CallDecision {
    let AskEnd { decision, message, answers, changed_input, .. } = &ask.end;
    match (decision, ask.state) {
        (Some(AskDecision::Allow), _) => {
            let answered = answers.as_ref().map(|answers| {
                let questions = ask.input.get("questions").cloned().unwrap_or_default();
                let texts = answers.iter().map(|(question, answer)| (question.clone(), as_text(answer)));
                json!({ "questions": questions, "answers": texts.collect::<serde_json::Map<_, _>>() })
            });
            CallDecision::Allow { input: answered.or_else(|| changed_input.clone().map(Value::Object)) }
        }
        (Some(AskDecision::Deny), AskState::Expired) => deny("nobody answered in time"),
        (Some(AskDecision::Deny), _) => deny(message.as_deref().unwrap_or("a person denied it")),
        (None, _) => deny("the question was withdrawn"),
    }
}

/// The CLI takes several labels as one text.
fn as_text(answer: &Value) -> Value {
    match answer {
        Value::Array(labels) => Value::String(labels.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        answer => answer.clone(),
    }
}
