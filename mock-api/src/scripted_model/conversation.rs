//! The conversation in a Messages API request.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// The parts of a request that scripts and directives use.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) system: String,
    pub(super) tools: Vec<Tool>,
    /// `metadata.user_id`, which contains the CLI's session. It distinguishes equal conversations.
    pub(super) sender: String,
    /// The user's messages, oldest first, without the CLI's additions. The last one is to be answered.
    pub(super) prompts: Vec<String>,
    /// The tool results since the last prompt.
    pub(super) results: Vec<ToolResult>,
    /// The tool results before the last prompt.
    pub(super) earlier_results: Vec<ToolResult>,
    /// The number of answers with tool calls since the last prompt: the current step of a script.
    pub(super) rounds: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub(super) name: String,
    #[serde(default)]
    pub(super) input_schema: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolResult {
    /// The name of the tool that was called.
    pub(super) tool: String,
    pub(super) text: String,
    pub(super) failed: bool,
}

#[derive(Debug, Deserialize)]
struct Request {
    model: String,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    system: Value,
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    metadata: Metadata,
    messages: Vec<Message>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    user_id: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Value,
}

impl Conversation {
    /// Parses a request body. The error is serde's sentence about the first invalid part.
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let request: Request = serde_json::from_slice(body)?;
        let mut conversation = Self {
            model: request.model,
            stream: request.stream,
            system: texts(&request.system).join("\n"),
            tools: request.tools,
            sender: request.metadata.user_id,
            prompts: Vec::new(),
            results: Vec::new(),
            earlier_results: Vec::new(),
            rounds: 0,
        };
        let mut calls = HashMap::new();
        for message in &request.messages {
            match message.role.as_str() {
                "assistant" => conversation.take_answer(message, &mut calls),
                "user" => conversation.take_user(message, &calls),
                _ => {} // scripts ignore roles that do not exist yet
            }
        }
        Ok(conversation)
    }

    /// The prompt to answer; empty if the user wrote nothing.
    pub(super) fn prompt(&self) -> &str {
        self.prompts.last().map_or("", String::as_str)
    }

    /// The prompt to answer, without the caller's `## Context` preamble.
    pub(super) fn message(&self) -> &str {
        without_preamble(self.prompt())
    }

    /// The earlier prompts without their preambles, oldest first.
    pub(super) fn earlier_messages(&self) -> impl DoubleEndedIterator<Item = &str> {
        let earlier = self.prompts.len().saturating_sub(1);
        self.prompts[..earlier].iter().map(|prompt| without_preamble(prompt))
    }

    pub(super) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    fn take_answer(&mut self, message: &Message, calls: &mut HashMap<String, String>) {
        let before = calls.len();
        for block in blocks(&message.content).filter(|block| block["type"] == "tool_use") {
            calls.insert(text_of(&block["id"]), text_of(&block["name"]));
        }
        if calls.len() > before {
            self.rounds += 1;
        }
    }

    fn take_user(&mut self, message: &Message, calls: &HashMap<String, String>) {
        for block in blocks(&message.content).filter(|block| block["type"] == "tool_result") {
            self.results.push(ToolResult {
                tool: calls.get(&text_of(&block["tool_use_id"])).cloned().unwrap_or_default(),
                text: without_reminders(&texts(&block["content"]).join("\n")),
                failed: block["is_error"] == true,
            });
        }
        for prompt in texts(&message.content).iter().filter_map(|text| written_by_user(text)) {
            self.prompts.push(prompt);
            self.earlier_results.append(&mut self.results);
            self.rounds = 0;
        }
    }
}

/// The texts of a `content` or `system`, which is a string or a list of blocks.
pub(super) fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        _ => blocks(content).filter(|block| block["type"] == "text").map(|block| text_of(&block["text"])).collect(),
    }
}

/// The blocks of a `content`; none if it is a string.
pub(super) fn blocks(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Removes the CLI's additions from a text block. Returns `None` if nothing is left. Claude Code 2.1.197 adds reminders
/// in tags and the bracketed lines below.
fn written_by_user(text: &str) -> Option<String> {
    const ADDED: [&str; 3] =
        ["[structured-output-enforce]", "[Request interrupted", "Continue from where you left off"];
    let text = without_reminders(text);
    let added = text.is_empty() || ADDED.iter().any(|start| text.starts_with(start));
    (!added).then_some(text)
}

/// Removes the CLI's reminders, which it also appends to tool results, and surrounding blanks.
fn without_reminders(text: &str) -> String {
    const OPEN: &str = "<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    let mut text = text.to_owned();
    while let Some(start) = text.find(OPEN) {
        let end = text[start..].find(CLOSE).map_or(text.len(), |at| start + at + CLOSE.len());
        text.replace_range(start..end, "");
    }
    text.trim().to_owned()
}

/// Removes the task's `context`, which precedes the message: `## Context`, the text, a rule, the message.
fn without_preamble(prompt: &str) -> &str {
    if !prompt.starts_with("## Context\n") {
        return prompt;
    }
    prompt.split_once("\n---\n").map_or(prompt, |(_, message)| message.trim())
}

#[cfg(test)]
mod tests;
