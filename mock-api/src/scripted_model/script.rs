//! Scripts: their fields, and their parser for TOML. mock-api/README.md documents every field.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::answer::{CHUNK, Usage};
use super::glob::Pattern;
use super::template::unknown_names;

/// Scripts in order. The first one whose `when` matches a request answers it.
#[derive(Debug, Clone, Default)]
pub struct Scripts(pub(super) Vec<Script>);

/// An error in a script, with its place.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("could not read the scripts in {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("there is no *.toml file in {}", .0.display())]
    NoScripts(PathBuf),
    #[error("{file}:{line}: {reason}")]
    Malformed { file: String, line: usize, reason: String },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) when: When,
    pub(super) step: Vec<Step>,
    /// The answer that replaces the steps once a tool of this turn has failed.
    pub(super) failed: Option<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    /// One of these must match the last message.
    #[serde(default)]
    pub(super) message: Vec<Pattern>,
    /// One of these must match an earlier message. The latest match provides the captures.
    #[serde(default)]
    pub(super) earlier: Vec<Pattern>,
    /// One of these must match the system prompt.
    #[serde(default)]
    pub(super) system: Vec<Pattern>,
    /// One of these must match the last tool result of this turn.
    #[serde(default)]
    pub(super) result: Vec<Pattern>,
    /// One of these must match the request's model.
    #[serde(default)]
    pub(super) model: Vec<Pattern>,
    /// The request must offer tools (true) or must not (false).
    pub(super) tools: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The step is only used if one of these matches the last tool result; else the next step is used.
    #[serde(default)]
    pub(super) result: Vec<Pattern>,
    #[serde(default)]
    pub(super) delay_ms: u64,
    #[serde(default)]
    pub(super) delta_delay_ms: u64,
    #[serde(default = "default_chunk")]
    pub(super) chunk: usize,
    pub(super) thinking: Option<String>,
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) tools: Vec<Call>,
    pub(super) output: Option<Value>,
    pub(super) error: Option<Fault>,
    pub(super) cut_after: Option<usize>,
    #[serde(default)]
    pub(super) usage: Usage,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) input: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) message: Option<String>,
    pub(super) retry_after: Option<u64>,
    pub(super) should_retry: Option<bool>,
    /// The number of requests for one message that fail. Without it all fail.
    pub(super) times: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    script: Vec<Script>,
}

impl Scripts {
    /// The built-in scripts: `mock-api/scripts/*.toml`.
    pub fn builtin() -> Result<Self, ScriptError> {
        const FILES: [(&str, &str); 4] = [
            ("cli.toml", include_str!("../../scripts/cli.toml")),
            ("acme.toml", include_str!("../../scripts/acme.toml")),
            ("memory.toml", include_str!("../../scripts/memory.toml")),
            ("repository.toml", include_str!("../../scripts/repository.toml")),
        ];
        FILES.into_iter().try_fold(Self::default(), |all, (file, text)| Ok(all.followed_by(Self::parse(file, text)?)))
    }

    /// All `*.toml` files of a directory, by name.
    pub fn from_directory(directory: &Path) -> Result<Self, ScriptError> {
        let unreadable = |path: &Path, source| ScriptError::Unreadable { path: path.to_owned(), source };
        let entries = fs::read_dir(directory).map_err(|source| unreadable(directory, source))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| unreadable(directory, source))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        if paths.is_empty() {
            return Err(ScriptError::NoScripts(directory.to_owned()));
        }
        paths.iter().try_fold(Self::default(), |all, path| {
            let text = fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
            Ok(all.followed_by(Self::parse(&path.display().to_string(), &text)?))
        })
    }

    /// Parses the scripts in `text`. `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let malformed = |line, reason| ScriptError::Malformed { file: file.to_owned(), line, reason };
        let parsed: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            malformed(line, error.message().trim().to_owned())
        })?;
        for script in &parsed.script {
            if let Some((mention, reason)) = script.mistake() {
                return Err(malformed(text.find(&mention).map_or(1, |at| line_at(text, at)), reason));
            }
        }
        Ok(Self(parsed.script))
    }

    /// These scripts, followed by `others`.
    #[must_use]
    pub fn followed_by(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

impl Script {
    /// Returns the first error that TOML allows but a script does not: a text by which to find it, and the reason.
    fn mistake(&self) -> Option<(String, String)> {
        if self.step.is_empty() {
            return Some((self.name.clone(), format!("the script `{}` has no step", self.name)));
        }
        let patterns = self.when.message.iter().chain(&self.when.earlier);
        let captures: Vec<&str> = patterns.flat_map(Pattern::names).collect();
        self.step.iter().chain(&self.failed).find_map(|step| {
            if let Some(fault) = &step.error
                && !(400..=599).contains(&fault.status)
            {
                let reason = format!("the error status {} is not between 400 and 599", fault.status);
                return Some((format!("status = {}", fault.status), reason));
            }
            if !step.answers() {
                let reason = format!("a step of `{}` has no thinking, text, tools, output or error", self.name);
                return Some((self.name.clone(), reason));
            }
            let unknown = step.templates().iter().flat_map(|template| unknown_names(template, &captures)).next()?;
            Some((format!("{{{{{unknown}}}}}"), format!("nothing fills {{{{{unknown}}}}}")))
        })
    }
}

impl Step {
    /// True if the step has an answer after its error, if any.
    fn has_reply(&self) -> bool {
        self.thinking.is_some() || self.text.is_some() || !self.tools.is_empty() || self.output.is_some()
    }

    fn answers(&self) -> bool {
        self.has_reply() || self.error.as_ref().is_some_and(|fault| fault.times.is_none())
    }

    fn templates(&self) -> Vec<&str> {
        let mut templates: Vec<&str> = self.thinking.iter().chain(&self.text).map(String::as_str).collect();
        for value in self.tools.iter().map(|call| &call.input).chain(&self.output) {
            collect_strings(value, &mut templates);
        }
        templates
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn collect_strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect_strings(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn default_chunk() -> usize {
    CHUNK
}

/// The line that contains the byte at `offset`, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.match_indices('\n').take_while(|(newline, _)| *newline < offset).count()
}
