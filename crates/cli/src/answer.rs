//! `claude-runner answer`: answers what an agent asks.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::ask::{Ask, AskAnswer, AskDecision, AskQuestion, Remember};
use api_types::word;
use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value};

use super::asks::subject;
use super::exit::{Exit, Misuse};
use super::lists;
use super::remote::{Answered, RemoteOptions};

const EXAMPLES: &str = "\
Examples:
  claude-runner answer 5f0c1b0f9e0d4a53 allow
  claude-runner answer 5f0c1b0f9e0d4a53 deny --message 'not on a Sunday'
  claude-runner answer 5f0c1b0f9e0d4a53 allow --input '{\"command\":\"ls\"}'
  claude-runner answer 5f0c1b0f9e0d4a53 --option Red           # a label of the question
  claude-runner answer 5f0c1b0f9e0d4a53 --option Red --option Blue
  claude-runner answer 5f0c1b0f9e0d4a53 --text 'something green'";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decision {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kept {
    Task,
    Session,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AnswerOptions {
    /// The ask
    id: String,

    /// The decision; leave it out beside --option and --text
    #[arg(value_enum, required_unless_present_any = ["options", "texts"])]
    decision: Option<Decision>,

    /// A label that a question offers; several where it allows several, and for several questions in their order
    #[arg(long = "option", value_name = "LABEL", conflicts_with = "decision")]
    options: Vec<String>,

    /// An answer in your own words, for the only question, or for the next one that has no label
    #[arg(long = "text", value_name = "TEXT", conflicts_with = "decision")]
    texts: Vec<String>,

    /// The reason, which the agent reads when a call is denied
    #[arg(long)]
    message: Option<String>,

    /// The input with which the tool runs instead, as JSON
    #[arg(long, value_name = "JSON", conflicts_with_all = ["options", "texts"])]
    input: Option<String>,

    /// Keep the decision for the same call
    #[arg(long, value_enum, value_name = "HOW LONG")]
    remember: Option<Kept>,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: AnswerOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let answers = if options.options.is_empty() && options.texts.is_empty() {
        None
    } else {
        let ask: Answered<Ask> = remote.get(&["ask", &options.id]).await?;
        Some(Value::Object(answers(&ask.value.questions, &options.options, &options.texts)?))
    };
    let input = options.input.as_deref().map(serde_json::from_str).transpose();
    let body = AskAnswer {
        decision: options.decision.map(|decision| match decision {
            Decision::Allow => AskDecision::Allow,
            Decision::Deny => AskDecision::Deny,
        }),
        message: options.message,
        input: input.map_err(|error| Misuse(format!("--input: it must be JSON: {error}")))?,
        answers,
        remember: options.remember.map(|kept| match kept {
            Kept::Task => Remember::Task,
            Kept::Session => Remember::Session,
        }),
    };
    let request = remote.request(Method::POST, &["ask", &options.id, "answer"], &[])?.json(&body);
    let ask: Answered<Ask> = remote.json(request).await?;
    if options.json {
        lists::print_lines(std::slice::from_ref(&ask))?;
    } else {
        let decision = ask.value.decision.as_ref().map(word).unwrap_or_default();
        writeln!(io::stderr(), "{}: {}", decision, super::terminal::on_one_line(&subject(&ask.value)))?;
    }
    Ok(Exit::Done.into())
}

/// Gives each question the labels that it offers, and a text to a question that got none.
fn answers(questions: &[AskQuestion], labels: &[String], texts: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut answers = Map::new();
    let mut left: Vec<&String> = labels.iter().collect();
    for question in questions {
        let most = if question.multi_select { left.len() } else { 1 };
        let mut own = Vec::new();
        left.retain(|label| {
            let is_own = own.len() < most && question.options.iter().any(|option| option.label == **label);
            if is_own {
                own.push(Value::String((*label).clone()));
            }
            !is_own
        });
        if !own.is_empty() {
            answers.insert(question.question.clone(), Value::Array(own));
        }
    }
    if let Some(label) = left.first() {
        return Err(
            Misuse(format!("--option: no question offers {label:?}; --text gives an answer of your own")).into()
        );
    }
    let mut texts = texts.iter();
    for question in questions {
        if !answers.contains_key(&question.question)
            && let Some(text) = texts.next()
        {
            answers.insert(question.question.clone(), Value::String(text.clone()));
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use api_types::ask::{AskOption, AskQuestion};
    use serde_json::{Value, json};

    use super::answers;

    #[test]
    fn labels_and_texts_find_their_questions() {
        let question = |text: &str, labels: &[&str], multi_select| AskQuestion {
            question: text.to_owned(),
            header: String::new(),
            options: labels
                .iter()
                .map(|label| AskOption { label: (*label).to_owned(), description: String::new(), preview: None })
                .collect(),
            multi_select,
        };
        let questions =
            [question("1?", &["A", "B"], false), question("2?", &["A", "C"], true), question("3?", &[], false)];
        let given = |labels: &[&str], texts: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            answers(&questions, &owned(labels), &owned(texts)).map(Value::Object).map_err(|error| error.to_string())
        };
        assert_eq!(given(&["A", "C", "A"], &["x"]), Ok(json!({ "1?": ["A"], "2?": ["C", "A"], "3?": "x" })));
        assert_eq!(given(&["C"], &["x", "y"]), Ok(json!({ "1?": "x", "2?": ["C"], "3?": "y" })));
        assert!(given(&["D"], &[]).unwrap_err().contains("\"D\""));
    }
}
