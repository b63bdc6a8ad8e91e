//! A person's answer, and the check that it fits the ask. A problem begins with the name of the member.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::policy::AskPolicy;
use super::record::{AskDecision, AskEnd, AskKind, AskRecord, Remember};
use super::verdict::ToolCall;

/// The bounds of the texts in an answer.
const MAX_MESSAGE_CHARS: usize = 10_000;
const MAX_INPUT_BYTES: usize = 256 * 1024;

/// A question of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    pub question: String,
    #[serde(default)]
    pub header: String,
    pub options: Vec<QuestionOption>,
    #[serde(default)]
    pub multi_select: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionOption {
    pub label: String,
    #[serde(default)]
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}

/// The answer to an ask, as its body has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AskAnswer {
    pub decision: Option<AskDecision>,
    pub message: Option<String>,
    pub input: Option<Value>,
    pub answers: Option<Value>,
    pub remember: Option<Remember>,
}

/// The answer does not fit the ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AnswerProblem(pub String);

/// The questions in the input of AskUserQuestion. `None`: they cannot be shown.
pub fn questions_of(input: &str) -> Option<Vec<Question>> {
    #[derive(Deserialize)]
    struct Input {
        questions: Vec<Question>,
    }
    let questions = serde_json::from_str::<Input>(input).ok()?.questions;
    (!questions.is_empty()).then_some(questions)
}

impl AskAnswer {
    /// Returns the end of the ask by this answer, without the time and the caller.
    pub fn end(self, ask: &AskRecord, policy: &AskPolicy) -> Result<AskEnd, AnswerProblem> {
        let problem = |sentence: &str| Err(AnswerProblem(sentence.to_owned()));
        if self.message.as_ref().is_some_and(|message| message.chars().count() > MAX_MESSAGE_CHARS) {
            return Err(AnswerProblem(format!("message: it must have at most {MAX_MESSAGE_CHARS} characters")));
        }
        let is_question = ask.kind == AskKind::Question;
        let decision = match (self.decision, &self.answers) {
            (Some(decision), _) => decision,
            (None, Some(_)) if is_question => AskDecision::Allow,
            (None, _) if is_question => {
                return problem("answers: an answer to a question has answers, or the decision deny");
            }
            (None, _) => return problem("decision: it is missing; it must be allow or deny"),
        };
        let answers = match self.answers {
            None if is_question && decision == AskDecision::Allow => return problem("answers: they are missing"),
            None => None,
            Some(_) if !is_question => return problem("answers: only an ask of kind question has answers"),
            Some(_) if decision == AskDecision::Deny => return problem("answers: a question that is denied has none"),
            Some(answers) => Some(check_answers(answers, &ask.questions)?),
        };
        let changed_input = match self.input {
            None => None,
            Some(_) if is_question => return problem("input: a question has answers instead"),
            Some(_) if decision == AskDecision::Deny => return problem("input: a call that is denied has none"),
            Some(input) => Some(check_input(input, ask, policy)?),
        };
        if self.remember.is_some() && ask.kind != AskKind::Permission {
            return problem("remember: only an ask of kind permission can be remembered");
        }
        if self.remember.is_some() && ask.rule.is_none() {
            return problem("remember: no rule describes exactly this call, so that its decision cannot be remembered");
        }
        let (decision, remember) = (Some(decision), self.remember);
        Ok(AskEnd { decision, message: self.message, answers, changed_input, remember, ..AskEnd::default() })
    }
}

fn check_answers(answers: Value, questions: &[Question]) -> Result<Map<String, Value>, AnswerProblem> {
    let Value::Object(answers) = answers else {
        return Err(AnswerProblem("answers: it must be an object of an answer for each question".to_owned()));
    };
    for (asked, answer) in &answers {
        let question = questions.iter().find(|question| question.question == *asked);
        let question =
            question.ok_or_else(|| AnswerProblem(format!("answers: the question {asked:?} was not asked")))?;
        let refused = |sentence: String| AnswerProblem(format!("answers: {asked:?}: {sentence}"));
        match answer {
            Value::String(text) if text.trim().is_empty() => return Err(refused("the answer is empty".to_owned())),
            Value::String(text) if text.chars().count() > MAX_MESSAGE_CHARS => {
                return Err(refused(format!("the answer must have at most {MAX_MESSAGE_CHARS} characters")));
            }
            Value::String(_) => {}
            Value::Array(labels) => check_labels(labels, question).map_err(refused)?,
            _ => return Err(refused("it must be a label, a list of labels or a text".to_owned())),
        }
    }
    match questions.iter().find(|question| !answers.contains_key(&question.question)) {
        Some(question) => Err(AnswerProblem(format!("answers: the answer to {:?} is missing", question.question))),
        None => Ok(answers),
    }
}

fn check_labels(labels: &[Value], question: &Question) -> Result<(), String> {
    if labels.is_empty() {
        return Err("the list of labels is empty".to_owned());
    }
    if labels.len() > 1 && !question.multi_select {
        return Err("several labels are allowed only where multiSelect is true".to_owned());
    }
    for label in labels {
        let known = label.as_str().is_some_and(|label| question.options.iter().any(|option| option.label == label));
        if !known {
            return Err(format!("{label} is no label of this question; a text of your own is a string, not a list"));
        }
    }
    Ok(())
}

/// An input that replaces the one of the call.
fn check_input(input: Value, ask: &AskRecord, policy: &AskPolicy) -> Result<Map<String, Value>, AnswerProblem> {
    let Value::Object(input) = input else { return Err(AnswerProblem("input: it must be an object".to_owned())) };
    let json = Value::Object(input.clone()).to_string();
    if json.len() > MAX_INPUT_BYTES {
        return Err(AnswerProblem(format!("input: it must have at most {MAX_INPUT_BYTES} bytes")));
    }
    for name in required_members(&ask.tool) {
        if !input.get(*name).is_some_and(Value::is_string) {
            return Err(AnswerProblem(format!("input: {} needs the text `{name}`", ask.tool)));
        }
    }
    // The tools of MCP servers describe their input themselves, so that a member keeps at least its type.
    if let Value::Object(before) = &ask.input {
        for (name, value) in &input {
            if before.get(name).is_some_and(|before| kind_of(before) != kind_of(value)) {
                return Err(AnswerProblem(format!(
                    "input: `{name}` must be {}, as in the call",
                    kind_of(&before[name])
                )));
            }
        }
    }
    match policy.denies(&ToolCall::new(&ask.tool, &json)) {
        Some(rule) => Err(AnswerProblem(format!("input: the rule {rule} denies this"))),
        None => Ok(input),
    }
}

/// The texts that an input of a tool of the CLI always has.
fn required_members(tool: &str) -> &'static [&'static str] {
    match tool {
        "Bash" => &["command"],
        "Read" => &["file_path"],
        "Edit" => &["file_path", "old_string", "new_string"],
        "Write" => &["file_path", "content"],
        "NotebookEdit" => &["notebook_path", "new_source"],
        "WebFetch" => &["url", "prompt"],
        "WebSearch" => &["query"],
        _ => &[],
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
