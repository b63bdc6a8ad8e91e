//! A session's events as Markdown for people.

use std::collections::HashMap;
use std::fmt::Write as _;

use api_types::event::{Event, Gap, GapReason, Head};
use api_types::task::{ErrorType, Task};
use api_types::word;
use serde_json::Value;

use super::super::asks::subject;
use super::super::show::decided;
use super::super::{lists, terminal};

/// Converts events to text, one after another.
pub(super) struct Transcript {
    /// The messages, by task id, because events do not contain them.
    records: HashMap<String, Task>,
    /// The task whose section is written.
    task: String,
    /// The agent's text and thoughts since its last action: a retry may make them void.
    pending: Vec<Said>,
}

/// One piece of it.
struct Said {
    seq: u64,
    thought: bool,
    text: String,
}

impl Transcript {
    pub(super) fn new(records: HashMap<String, Task>) -> Self {
        Transcript { records, task: String::new(), pending: Vec::new() }
    }

    /// The text that an event adds.
    pub(super) fn event(&mut self, head: &Head, event: &Event) -> String {
        let mut text = String::new();
        // A waiting task has no output, and another one may be running.
        let task = head.task_id.as_deref().filter(|_| !matches!(event, Event::TaskQueued(_)));
        if let Some(task) = task.filter(|task| *task != self.task) {
            text.push_str(&self.said());
            text.push_str(&self.section(task));
        }
        match event {
            // A subagent's text returns as the result of a tool.
            Event::Text(event) if event.parent_tool_use_id.is_none() => self.pend(event.head.seq, false, &event.text),
            Event::Thinking(event) if event.parent_tool_use_id.is_none() => {
                self.pend(event.head.seq, true, &event.text);
            }
            Event::Retry(event) => {
                let void = event.discards_from.unwrap_or(u64::MAX);
                self.pending.retain(|said| said.seq < void);
            }
            Event::ToolStart(event) => {
                text.push_str(&self.said());
                let input = match &event.input {
                    Value::String(cut) => cut.clone(),
                    input => format!("{input:#}"),
                };
                add(&mut text, format!("**{}**", event.tool));
                add(&mut text, fenced("json", &input));
            }
            Event::ToolEnd(event) => {
                text.push_str(&self.said());
                add(&mut text, if event.is_error { "Failed:" } else { "Result:" });
                add(&mut text, fenced("", &event.result));
            }
            Event::Ask(event) => {
                text.push_str(&self.said());
                add(&mut text, format!("*Asked a person: {}*", subject(&event.ask)));
            }
            Event::AskAnswered(event) => add(&mut text, format!("*A person answered: {}*", decided(&event.ask))),
            Event::AskExpired(event) => add(&mut text, format!("*Nobody answered in time: {}*", decided(&event.ask))),
            Event::AskWithdrawn(_) => add(&mut text, "*The question was withdrawn.*"),
            Event::Warning(event) => {
                text.push_str(&self.said());
                add(&mut text, format!("*Warning: {}*", event.message));
            }
            Event::Stage(event) => {
                let repo = event.repo.as_ref().map(ToString::to_string).unwrap_or_default();
                let (branch, pull) = (event.branch.as_deref(), event.pr_url.as_deref());
                let parts = [&word(&event.stage), &repo, branch.unwrap_or_default(), pull.unwrap_or_default()];
                add(&mut text, format!("*Stage {}*", parts.join(" ").trim()));
                for sentence in &event.not_cloned {
                    add(&mut text, sentence);
                }
            }
            Event::TaskComplete(event) => {
                text.push_str(&self.said());
                if let Some(output) = &event.answer.output {
                    add(&mut text, "**Answer**");
                    add(&mut text, fenced("json", &format!("{output:#}")));
                }
            }
            Event::TaskFailed(event) => text.push_str(&self.ended(event.error_type, &event.error)),
            Event::Abort(event) => text.push_str(&self.ended(event.error_type, &event.error)),
            Event::SessionReset(_) => add(&mut text, "---\n\n*The conversation starts again.*"),
            Event::Gap(Gap { reason: GapReason::Renewed, .. }) => add(&mut text, "*The session begins a new life.*"),
            Event::Gap(_) => add(&mut text, "*What was before is not kept any more.*"),
            _ => {}
        }
        text
    }

    fn pend(&mut self, seq: u64, thought: bool, text: &str) {
        self.pending.push(Said { seq, thought, text: text.to_owned() });
    }

    fn ended(&mut self, error_type: ErrorType, error: &str) -> String {
        let mut text = self.said();
        add(&mut text, format!("**{}**: {error}", word(&error_type)));
        text
    }

    /// Writes the rest of a task that has not ended.
    pub(super) fn finish(mut self) -> String {
        self.said()
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        let pending = std::mem::take(&mut self.pending);
        for pieces in pending.chunk_by(|one, next| one.thought == next.thought) {
            let words: String = pieces.iter().map(|said| said.text.as_str()).collect();
            match (words.trim(), pieces[0].thought) {
                ("", _) => {}
                (words, true) => {
                    add(&mut text, "**Thought**");
                    add(&mut text, quoted(words));
                }
                (words, false) => add(&mut text, words),
            }
        }
        text
    }

    fn section(&mut self, task: &str) -> String {
        task.clone_into(&mut self.task);
        let mut text = String::new();
        let Some(record) = self.records.get(task) else {
            add(&mut text, format!("## Task {task}"));
            return text;
        };
        let facts = [
            Some(word(&record.status)),
            Some(record.created.to_string()),
            record.duration.map(lists::took),
            record.cost.map(lists::cost),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        add(&mut text, format!("## Task {task}"));
        add(&mut text, facts.join(" · "));
        for (name, asked) in [("Context", record.context.as_deref().unwrap_or_default()), ("Asked", &record.prompt)] {
            if !asked.is_empty() {
                add(&mut text, format!("**{name}**"));
                add(&mut text, quoted(asked));
            }
        }
        text
    }
}

/// A paragraph.
fn add(text: &mut String, paragraph: impl AsRef<str>) {
    // Writing to a string does not fail.
    let _ = write!(text, "\n{}\n", terminal::printable(paragraph.as_ref()));
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Writes a fenced block whose fence does not occur in the text.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use api_types::task::Usage;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::{Event, Head, Transcript};

    const TASK: &str = "00000000000000aa";

    fn read<T: DeserializeOwned>(event: &Value) -> T {
        serde_json::from_value(event.clone()).unwrap()
    }

    #[test]
    fn a_transcript_reads_well_and_holds_what_is_hostile() {
        let record = json!({
            "id": TASK, "taskId": TASK, "sessionId": "s", "kind": "session", "status": "completed", "model": "m",
            "maxTurns": 10, "timeoutMs": 1, "created": "2026-11-21T02:42:12.838Z", "duration": 448, "cost": 0.0075,
            "prompt": "Do it.\n# now", "context": null,
        });
        let record = serde_json::from_value(record).unwrap();
        let mut transcript = Transcript::new(HashMap::from([(TASK.to_owned(), record)]));
        let event = |kind: &str, seq: u64, more: Value| {
            let mut event = json!({ "type": kind, "seq": seq, "ts": "2026-11-21T02:42:12.838Z", "taskId": TASK });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let again = json!({ "attempt": 1, "maxRetries": 2, "delayMs": 3, "reason": "r", "discardsFrom": 4 });
        let result = json!({ "toolUseId": "t", "result": "```\n</script>\u{1b}[2J", "isError": false });
        let answer = json!({
            "sessionId": "s", "status": "completed", "output": { "ok": true }, "cost": 0.0075, "cliCost": 0, "duration": 448,
            "tools": ["Bash"], "resumed": false, "usage": Usage::default(),
        });
        let events = [
            event("task_queued", 1, json!({ "sessionId": "s", "position": 0 })),
            event("task_start", 2, json!({ "sessionId": "s" })),
            event("thinking", 3, json!({ "text": "I will" })),
            event("text", 4, json!({ "text": "void" })),
            event("retry", 5, again),
            event("text", 6, json!({ "text": "Let me " })),
            event("text", 7, json!({ "text": "look." })),
            event("tool_start", 8, json!({ "tool": "Bash", "input": { "command": "ls" }, "toolUseId": "t" })),
            event("text", 9, json!({ "text": "inside", "parentToolUseId": "t" })),
            event("tool_end", 10, result),
            event("task_complete", 11, answer),
        ];
        let mut text: String =
            events.iter().map(|event| transcript.event(&read::<Head>(event), &read::<Event>(event))).collect();
        text.push_str(&transcript.finish());
        assert_eq!(
            text,
            "
## Task 00000000000000aa

completed · 2026-11-21T02:42:12.838Z · 0.4 s · $0.0075

**Asked**

> Do it.
> # now

**Thought**

> I will

Let me look.

**Bash**

```json
{
  \"command\": \"ls\"
}
```

Result:

````
```
</script>\u{fffd}[2J
````

**Answer**

```json
{
  \"ok\": true
}
```
"
        );
    }
}
