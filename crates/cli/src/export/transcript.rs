//! A session's events as Markdown for people.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::super::{lists, terminal};

/// Makes text of events, one after the other.
pub(super) struct Transcript {
    /// By the tasks' ids: what was asked is not among the events.
    records: HashMap<String, Value>,
    /// The task whose section is written.
    task: String,
    /// What the agent said and thought since it last did something: a retry may make it void.
    pending: Vec<Said>,
}

/// A piece of it.
struct Said {
    seq: u64,
    thought: bool,
    text: String,
}

impl Transcript {
    pub(super) fn new(records: HashMap<String, Value>) -> Self {
        Transcript { records, task: String::new(), pending: Vec::new() }
    }

    /// What an event adds.
    pub(super) fn event(&mut self, event: &Value) -> String {
        let field = |name: &str| event[name].as_str().unwrap_or_default();
        let kind = field("type");
        let mut text = String::new();
        // A task that waits has nothing to tell, and another one may be at work.
        let task = field("taskId");
        if kind != "task_queued" && !task.is_empty() && task != self.task {
            text.push_str(&self.said());
            text.push_str(&self.section(task));
        }
        // What a subagent says comes back as a tool's result.
        let below = event["parentToolUseId"].is_string();
        match kind {
            "text" | "thinking" if !below => {
                self.pending.push(Said {
                    seq: event["seq"].as_u64().unwrap_or(0),
                    thought: kind == "thinking",
                    text: field("text").to_owned(),
                });
            }
            "retry" => {
                let void = event["discardsFrom"].as_u64().unwrap_or(u64::MAX);
                self.pending.retain(|said| said.seq < void);
            }
            "tool_start" => {
                text.push_str(&self.said());
                let input = match &event["input"] {
                    Value::String(cut) => cut.clone(),
                    input => format!("{input:#}"),
                };
                add(&mut text, format!("**{}**", field("tool")));
                add(&mut text, fenced("json", &input));
            }
            "tool_end" => {
                text.push_str(&self.said());
                add(&mut text, if event["isError"] == true { "Failed:" } else { "Result:" });
                add(&mut text, fenced("", field("result")));
            }
            "stage" => {
                let parts = ["stage", "repo", "branch", "prUrl"].map(field);
                add(&mut text, format!("*Stage {}*", parts.join(" ").trim()));
            }
            "task_complete" => {
                text.push_str(&self.said());
                if !event["output"].is_null() {
                    add(&mut text, "**Answer**");
                    add(&mut text, fenced("json", &format!("{:#}", event["output"])));
                }
            }
            "task_failed" | "abort" => {
                text.push_str(&self.said());
                add(&mut text, format!("**{}**: {}", field("errorType"), field("error")));
            }
            "session_reset" => add(&mut text, "---\n\n*The conversation begins anew.*"),
            "gap" => add(&mut text, "*What was before is not kept any more.*"),
            _ => {}
        }
        text
    }

    /// What is left to be said of a task that has not ended.
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
        let facts =
            [lists::text(record, "status"), lists::text(record, "created"), lists::took(record), lists::cost(record)];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        add(&mut text, format!("## Task {task}"));
        add(&mut text, facts.join(" · "));
        for (name, field) in [("Context", "context"), ("Asked", "prompt")] {
            let asked = lists::text(record, field);
            if !asked.is_empty() {
                add(&mut text, format!("**{name}**"));
                add(&mut text, quoted(&asked));
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

/// In a fence that nothing inside can close.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::Transcript;

    #[test]
    fn a_transcript_reads_well_and_holds_what_is_hostile() {
        let record = json!({
            "taskId": "a", "status": "completed", "created": "2026-11-21T02:42:12.838Z", "duration": 448, "cost": 0.0075,
            "prompt": "Do it.\n# now", "context": null,
        });
        let mut transcript = Transcript::new(HashMap::from([("a".to_owned(), record)]));
        let event = |kind: &str, seq: u64, more: Value| {
            let mut event = json!({ "type": kind, "seq": seq, "taskId": "a" });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let events = [
            event("task_queued", 1, json!({ "position": 0 })),
            event("task_start", 2, json!({})),
            event("thinking", 3, json!({ "text": "I will" })),
            event("text", 4, json!({ "text": "void" })),
            event("retry", 5, json!({ "discardsFrom": 4 })),
            event("text", 6, json!({ "text": "Let me " })),
            event("text", 7, json!({ "text": "look." })),
            event("tool_start", 8, json!({ "tool": "Bash", "input": { "command": "ls" } })),
            event("text", 9, json!({ "text": "inside", "parentToolUseId": "t" })),
            event("tool_end", 10, json!({ "result": "```\n</script>\u{1b}[2J", "isError": false })),
            event("task_complete", 11, json!({ "output": { "ok": true } })),
        ];
        let mut text: String = events.iter().map(|event| transcript.event(event)).collect();
        text.push_str(&transcript.finish());
        assert_eq!(
            text,
            "
## Task a

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
