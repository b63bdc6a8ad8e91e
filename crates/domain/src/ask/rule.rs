//! Rules for calls of tools, in Claude Code's own form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plain::is_misspelt;

/// The longest rule.
const MAX_BYTES: usize = 2000;

/// The tools of Claude Code that a misspelt name is compared with.
const TOOLS: [&str; 16] = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "Edit",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "MultiEdit",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
];

/// Which calls of which tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    pub(super) tool: String,
    /// The text in parentheses. `None`: all calls of the tool.
    pub(super) of: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error(
        "a rule is the name of a tool, alone or with a text in parentheses: `Read`, `Bash(npm test:*)`, `mcp__server__*`"
    )]
    Form,
    #[error("a rule has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("there is no tool {0}; did you mean {1}?")]
    Misspelt(String, &'static str),
    #[error("Edit rules are also for Write and NotebookEdit: write Edit({0})")]
    WriteIsEdit(String),
    #[error("rules of {0} have no text in parentheses: only those of Bash, Read, Edit and WebFetch have one")]
    NoText(String),
    #[error("a WebFetch rule names a host: WebFetch(domain:example.com)")]
    NoHost,
    #[error("`*` is allowed at the end of a tool's name, for the tools of an MCP server: mcp__server__*")]
    Star,
}

impl Rule {
    /// All calls of the tool.
    pub(super) fn of_tool(tool: &str) -> Self {
        Rule { tool: tool.to_owned(), of: None }
    }

    /// True if the rule is about this tool. `Edit` is about every tool that writes files, `Read` about every tool that reads them.
    pub(super) fn is_about(&self, tool: &str) -> bool {
        match self.tool.as_str() {
            "Edit" => matches!(tool, "Edit" | "Write" | "NotebookEdit" | "MultiEdit"),
            "Read" => matches!(tool, "Read" | "Grep" | "Glob" | "NotebookRead" | "LS"),
            "Task" | "Agent" => matches!(tool, "Task" | "Agent"),
            name => match name.strip_suffix('*') {
                Some(prefix) => tool.starts_with(prefix),
                // A server's name stands for all its tools.
                None => tool == name || (name.starts_with("mcp__") && is_server_of(name, tool)),
            },
        }
    }
}

/// True if `name` is `mcp__SERVER`, and the tool is `mcp__SERVER__TOOL`.
fn is_server_of(name: &str, tool: &str) -> bool {
    let is_server = name.matches("__").count() == 1;
    is_server && tool.strip_prefix(name).is_some_and(|rest| rest.starts_with("__"))
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        if text.len() > MAX_BYTES {
            return Err(InvalidRule::TooLong);
        }
        let (tool, of) = match text.split_once('(') {
            None => (text, None),
            Some((tool, of)) => (tool, Some(of.strip_suffix(')').ok_or(InvalidRule::Form)?)),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*');
        if tool.is_empty() || !tool.chars().all(is_name) || of.is_some_and(|of| of.trim().is_empty()) {
            return Err(InvalidRule::Form);
        }
        let is_of_server = tool.starts_with("mcp__");
        if tool.contains('*') && !(is_of_server && tool.find('*') == Some(tool.len() - 1)) {
            return Err(InvalidRule::Star);
        }
        let near = TOOLS.into_iter().find(|known| is_misspelt(tool, known));
        if let Some(near) = near.filter(|_| !is_of_server && !TOOLS.contains(&tool)) {
            return Err(InvalidRule::Misspelt(tool.to_owned(), near));
        }
        let of = match (tool, of) {
            // `Bash(*)` is every call.
            (_, None | Some("*")) => None,
            ("Write" | "NotebookEdit" | "MultiEdit", Some(of)) => return Err(InvalidRule::WriteIsEdit(of.to_owned())),
            ("WebFetch", Some(of)) if !of.starts_with("domain:") => return Err(InvalidRule::NoHost),
            ("Bash" | "Read" | "Edit" | "WebFetch", Some(of)) => Some(of.to_owned()),
            (tool, Some(_)) => return Err(InvalidRule::NoText(tool.to_owned())),
        };
        Ok(Rule { tool: tool.to_owned(), of })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(of) => write!(f, "{}({of})", self.tool),
            None => f.write_str(&self.tool),
        }
    }
}

impl TryFrom<String> for Rule {
    type Error = InvalidRule;

    fn try_from(text: String) -> Result<Self, InvalidRule> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> String {
        rule.to_string()
    }
}
