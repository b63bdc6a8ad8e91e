//! Directives: messages such as `say:hello` that contain the answer. Tests that use them need no script file.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Block, Reply};
use super::choose::{Tries, output_block};
use super::conversation::Conversation;
use super::failure::Failure;
use super::template::listed;

/// A directive in a message: its name and the text after the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    kind: Kind,
    argument: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Say,
    Think,
    Bash,
    Multi,
    Tool,
    Sub,
    Json,
    Slow,
    Big,
    Wait,
    Cut,
    Loop,
    Recall,
    Model,
    Usage,
    Page,
    Status,
    StatusOnce,
}

/// Every directive by name. `status-once` precedes `status`, because no name may be a prefix of a later one.
const KINDS: [(&str, Kind); 18] = [
    ("say", Kind::Say),
    ("think", Kind::Think),
    ("bash", Kind::Bash),
    ("multi", Kind::Multi),
    ("tool", Kind::Tool),
    ("sub", Kind::Sub),
    ("json", Kind::Json),
    ("slow", Kind::Slow),
    ("big", Kind::Big),
    ("wait", Kind::Wait),
    ("cut", Kind::Cut),
    ("loop", Kind::Loop),
    ("recall", Kind::Recall),
    ("model", Kind::Model),
    ("usage", Kind::Usage),
    ("page", Kind::Page),
    ("status-once", Kind::StatusOnce),
    ("status", Kind::Status),
];

/// The time between the words of `slow:`.
const SLOW: Duration = Duration::from_millis(50);
/// The maximum numbers in `slow:`, `cut:` and `big:`: one hour of words, 64 MiB.
const MAX_WORDS: usize = 72_000;
const MAX_KIB: usize = 65_536;

impl<'a> Directive<'a> {
    /// Finds the last directive at the start of a line of `prompt`. Its argument is the rest of the prompt.
    pub(super) fn find(prompt: &'a str) -> Option<Self> {
        let starts = prompt.match_indices('\n').map(|(at, _)| at + 1).chain([0]);
        starts
            .filter_map(|start| Some((start, Self::at_start(&prompt[start..])?)))
            .max_by_key(|(start, _)| *start)
            .map(|(_, directive)| directive)
    }

    pub(super) fn name(self) -> &'static str {
        KINDS.into_iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name)
    }

    pub(super) fn answer(self, conversation: &Conversation, tries: &mut Tries) -> Answer {
        let argument = self.argument;
        match self.kind {
            Kind::Say => Answer::text(argument),
            Kind::Think => {
                let thinking = Block::thinking(&format!("considering {argument}"));
                Reply::of([thinking, Block::text(argument)]).into()
            }
            Kind::Bash => calls_in_turn(&[("Bash", bash(argument))], conversation),
            Kind::Multi => {
                let calls: Vec<_> = argument.split(" && then ").map(|command| ("Bash", bash(command))).collect();
                calls_in_turn(&calls, conversation)
            }
            Kind::Tool => tool(argument, conversation),
            Kind::Sub => subagent(argument, conversation),
            Kind::Json => match serde_json::from_str(argument) {
                Ok(output) => Reply::of([output_block(output, conversation)]).into(),
                Err(_) => Answer::text(argument), // a test of broken JSON gets exactly that
            },
            Kind::Slow => words(number(argument, MAX_WORDS), SLOW).into(),
            Kind::Big => Reply::of([Block::Text(vec![LINE.repeat(16); number(argument, MAX_KIB)])]).into(),
            Kind::Wait => {
                let milliseconds = u64::try_from(number(argument, usize::MAX)).unwrap_or(u64::MAX);
                let text = format!("waited {milliseconds} ms");
                Answer { silence: Duration::from_millis(milliseconds), ..Answer::text(&text) }
            }
            Kind::Cut => {
                let deltas = number(argument, MAX_WORDS);
                let cut_after = Some(deltas).filter(|_| conversation.stream && tries.within(1, conversation));
                Reply { cut_after, ..words(deltas + 5, Duration::ZERO) }.into()
            }
            Kind::Loop => Reply::of([Block::call("Bash", bash("true"))]).into(),
            Kind::Recall => Answer::text(&listed(conversation.earlier_messages())),
            Kind::Model => Answer::text(&conversation.model),
            Kind::Usage => match serde_json::from_str(argument) {
                Ok(stated) => Reply { stated, ..Reply::of([Block::text("usage stated")]) }.into(),
                Err(error) => Answer::text(&format!("the argument of usage: is no JSON object: {error}")),
            },
            Kind::Page => {
                Reply { page: Some(format!("<html><body>{argument}</body></html>")), ..Reply::default() }.into()
            }
            Kind::Status => failure(argument).into(),
            Kind::StatusOnce if tries.within(1, conversation) => failure(argument).into(),
            Kind::StatusOnce => Answer::text(&format!("answered after {}", argument.trim())),
        }
    }

    fn at_start(line: &'a str) -> Option<Self> {
        KINDS.into_iter().find_map(|(name, kind)| {
            let argument = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(Self { kind, argument: argument.trim() })
        })
    }
}

/// 64 bytes of text, the unit of `big:`.
const LINE: &str = "The quick brown fox jumps over the lazy dog, again and again..\n\n";

/// Calls the tools one after the other, one per round, and reports the last result.
fn calls_in_turn(calls: &[(&str, Value)], conversation: &Conversation) -> Answer {
    match (calls.get(conversation.rounds), conversation.results.last()) {
        (Some((name, input)), _) => Reply::of([Block::text("Running it."), Block::call(name, input.clone())]).into(),
        (None, Some(result)) => Answer::text(&format!("done: {}", result.text)),
        (None, None) => Answer::text("done"),
    }
}

fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "scripted" })
}

/// Parses `tool:NAME {input}`.
fn tool(argument: &str, conversation: &Conversation) -> Answer {
    let (name, input) = argument.split_once(' ').unwrap_or((argument, "{}"));
    match serde_json::from_str(input) {
        Ok(input) => calls_in_turn(&[(name, input)], conversation),
        Err(error) => Answer::text(&format!("the input of tool:{name} is no JSON: {error}")),
    }
}

fn subagent(argument: &str, conversation: &Conversation) -> Answer {
    if conversation.rounds > 0 {
        return Answer::text("sub done");
    }
    let prompt = match Directive::at_start(argument) {
        Some(_) => argument.to_owned(),
        None => format!("say:{argument}"),
    };
    let input = json!({ "description": "scripted", "prompt": prompt, "subagent_type": "general-purpose" });
    Reply::of([Block::call("Agent", input)]).into()
}

/// `w0 w1 …`, one delta each.
fn words(count: usize, delta_delay: Duration) -> Reply {
    let words = (0..count).map(|word| format!("w{word} ")).collect();
    Reply { delta_delay, ..Reply::of([Block::Text(words)]) }
}

/// The number in `argument`, at most `max`. Text that is not a number is 0.
fn number(argument: &str, max: usize) -> usize {
    argument.trim().parse().unwrap_or(0).min(max)
}

/// Parses `CODE` or `CODE retry-after=SECONDS`.
fn failure(argument: &str) -> Failure {
    let (code, options) = argument.split_once(' ').unwrap_or((argument, ""));
    let status = code.parse().ok().filter(|code| (400..600).contains(code));
    match status.and_then(|code| StatusCode::from_u16(code).ok()) {
        Some(status) => Failure {
            retry_after: options.trim().strip_prefix("retry-after=").and_then(|seconds| seconds.parse().ok()),
            ..Failure::new(status, format!("scripted {code}"))
        },
        None => Failure::new(StatusCode::BAD_REQUEST, format!("status:{code} is no error status")),
    }
}

#[cfg(test)]
mod tests;
