//! Chooses the answer to a request: a script for requests without tools, a directive, a script, or an answer that lists
//! the possibilities.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;

use super::answer::{Answer, Block, Reply, pieces};
use super::conversation::Conversation;
use super::directive::Directive;
use super::failure::Failure;
use super::glob::{Captures, Pattern};
use super::schema;
use super::script::{Fault, Script, Scripts, Step};
use super::template::{MissingValue, Scope};

/// The number of answers with a limited fault, by message.
#[derive(Debug, Default)]
pub(super) struct Tries(HashMap<String, u32>);

/// The maximum number of messages, more than any test has in flight. Beyond it, counting starts again.
const MAX_TRIES: usize = 4_096;

/// The answer to a request and its source, as `/__requests` shows it.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) answer: Answer,
    pub(super) source: String,
}

pub(super) fn choose(scripts: &Scripts, conversation: &Conversation, tries: &mut Tries) -> Choice {
    let scripted = |(script, captures)| play(script, captures, conversation, tries);
    // The CLI's requests beside the conversation quote the user's message; a directive in the quote must not take
    // effect.
    let aside = conversation.tools.is_empty() && fitting(scripts, conversation).is_some_and(|(s, _)| s.is_aside());
    if !aside && let Some(directive) = Directive::find(conversation.prompt()) {
        let source = format!("directive {}", directive.name());
        return Choice { answer: directive.answer(conversation, tries), source };
    }
    fitting(scripts, conversation).map_or_else(|| unknown_message(conversation), scripted)
}

impl Tries {
    /// Counts one more answer to this message and returns true if it is among the first `times`.
    pub(super) fn within(&mut self, times: u32, conversation: &Conversation) -> bool {
        if self.0.len() >= MAX_TRIES {
            self.0.clear();
        }
        let key = [&conversation.sender, &conversation.prompts.len().to_string(), conversation.prompt()].join("\n");
        let count = self.0.entry(key).or_default();
        *count += 1;
        *count <= times
    }
}

/// Structured output: through the tool that the client offers for it, else the JSON object as text.
pub(super) fn output_block(output: Value, conversation: &Conversation) -> Block {
    match conversation.tool(OUTPUT_TOOL) {
        Some(_) => Block::call(OUTPUT_TOOL, output),
        None => Block::text(&output.to_string()),
    }
}

const OUTPUT_TOOL: &str = "StructuredOutput";

fn fitting<'a>(scripts: &'a Scripts, conversation: &Conversation) -> Option<(&'a Script, Captures)> {
    scripts.0.iter().find_map(|script| Some((script, script.fits(conversation)?)))
}

impl Script {
    /// True for scripts about requests beside a conversation, such as the one for a title.
    fn is_aside(&self) -> bool {
        self.when.tools == Some(false)
    }

    fn fits(&self, conversation: &Conversation) -> Option<Captures> {
        let when = &self.when;
        if when.tools.is_some_and(|wanted| wanted == conversation.tools.is_empty()) {
            return None;
        }
        let result = conversation.results.last().map_or("", |result| &result.text);
        let mut captures = Captures::new();
        for found in [
            any_fits(&when.earlier, conversation.earlier_messages().rev()),
            any_fits(&when.model, [conversation.model.as_str()].into_iter()),
            any_fits(&when.system, [conversation.system.as_str()].into_iter()),
            any_fits(&when.result, [result].into_iter()),
            any_fits(&when.message, [conversation.message()].into_iter()),
        ] {
            captures.extend(found?);
        }
        Some(captures)
    }

    fn step(&self, conversation: &Conversation) -> Option<&Step> {
        if let Some(failed) = self.failed.as_ref().filter(|_| conversation.results.iter().any(|result| result.failed)) {
            return Some(failed);
        }
        let last = conversation.results.last().map_or("", |result| &result.text);
        // Steps with `result` precede the step that is used if none of them matches. Together they are one position.
        let mut position = 0;
        let mut chosen = None;
        for step in &self.step {
            let fits = any_fits(&step.result, [last].into_iter()).is_some();
            if position == conversation.rounds && fits {
                return Some(step);
            }
            if step.result.is_empty() {
                position += 1;
                chosen = Some(step);
            }
        }
        chosen // a turn with more rounds than steps stays at the last step
    }
}

/// The captures of the first pattern and text that match. An empty list of patterns matches everything.
fn any_fits<'a>(patterns: &[Pattern], mut texts: impl Iterator<Item = &'a str>) -> Option<Captures> {
    if patterns.is_empty() {
        return Some(Captures::new());
    }
    texts.find_map(|text| patterns.iter().find_map(|pattern| pattern.matches(text)))
}

fn play(script: &Script, captures: Captures, conversation: &Conversation, tries: &mut Tries) -> Choice {
    let source = format!("script {}", script.name);
    let scope = Scope { conversation, captures };
    let Some(step) = script.step(conversation) else {
        return Choice { answer: Answer::text(&format!("{source} has no step for this tool result.")), source };
    };
    let answer = perform(step, &scope, tries).unwrap_or_else(|missing| {
        // If the tool's result lacks a value that the script needs, the script treats the tool as failed.
        let failed = script.failed.as_ref().and_then(|failed| perform(failed, &scope, tries).ok());
        failed.unwrap_or_else(|| Answer::text(&format!("{source} cannot go on: {missing}.")))
    });
    Choice { answer, source }
}

fn perform(step: &Step, scope: &Scope<'_>, tries: &mut Tries) -> Result<Answer, MissingValue> {
    let silence = Duration::from_millis(step.delay_ms);
    if let Some(fault) = &step.error
        && fault.times.is_none_or(|times| tries.within(times, scope.conversation))
    {
        return Ok(Answer { silence, outcome: Err(fault.failure()) });
    }
    let mut blocks = Vec::new();
    if let Some(thinking) = &step.thinking {
        blocks.push(Block::Thinking(pieces(&scope.text(thinking)?, step.chunk)));
    }
    if let Some(text) = &step.text {
        blocks.push(Block::Text(pieces(&scope.text(text)?, step.chunk)));
    }
    for call in &step.tools {
        blocks.push(Block::call(&call.name, scope.json(&call.input)?));
    }
    if let Some(output) = &step.output {
        blocks.push(output_block(scope.json(output)?, scope.conversation));
    }
    // Only a stream can be cut, and only once per message: a client that repeats the request gets all of it.
    let cut_after = step.cut_after.filter(|_| scope.conversation.stream && tries.within(1, scope.conversation));
    let delta_delay = Duration::from_millis(step.delta_delay_ms);
    Ok(Answer { silence, outcome: Ok(Reply { blocks, delta_delay, cut_after, usage: step.usage, ..Reply::default() }) })
}

impl Fault {
    fn failure(&self) -> Failure {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = self.message.clone().unwrap_or_else(|| format!("scripted {}", self.status));
        Failure { retry_after: self.retry_after, should_retry: self.should_retry, ..Failure::new(status, message) }
    }
}

fn unknown_message(conversation: &Conversation) -> Choice {
    const TEXT: &str = "This is the scripted model, no real one, and it has no script for this message. It knows: \
        \"How many API calls has Alice (alice@acme.test) left this month?\", \"Which plan is she on?\", \
        \"Upgrade bob@acme.test to Pro\", \"Remember the word blue\", \"Which word was it?\" \
        and the directives say:, think:, bash:, json: and others in mock-api/README.md.";
    let block = match conversation.tool(OUTPUT_TOOL) {
        Some(tool) => Block::call(OUTPUT_TOOL, schema::smallest(&tool.input_schema, TEXT)),
        None => Block::text(TEXT),
    };
    Choice { answer: Reply::of([block]).into(), source: "no script".to_owned() }
}
