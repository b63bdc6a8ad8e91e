//! The file `.env`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use domain::{error_chain, plain};

/// The names in `.env`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    pub variables: BTreeSet<String>,
    /// The lines that cannot be read. The file may be another program's, with other rules.
    pub unreadable: Vec<UnreadableLine>,
    /// `$NAME` in a value stands for the variable NAME. These are not set, so the values lack a part.
    pub unset: Vec<UnsetReference>,
}

/// A line that is left out. Nothing of its value is kept, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLine {
    /// From 1.
    pub number: usize,
    /// The text before `=`, if it can only be a name.
    pub name: Option<String>,
}

/// A value of `.env` that refers to a variable which is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsetReference {
    pub name: String,
    pub variable: String,
}

/// A name of a variable has at most this many characters. A line of a key in PEM has 64.
const MAX_NAME: usize = 40;

/// Reads `.env` in the working directory or above it, if it exists. Variables that are already set win over it, and of several lines
/// with one name the last one counts.
pub fn load_env_file() -> Result<EnvFile, EnvFileError> {
    let Some(path) = find() else { return Ok(EnvFile::default()) };
    let text = fs::read_to_string(&path);
    let text = text.map_err(|error| EnvFileError::Read { path, reason: plain::of_os(&error.to_string()) })?;
    let (values, file) = read(text.trim_start_matches('\u{feff}'), |name| std::env::var_os(name).is_some())?;
    // Each value has been read once already, and this writes it so that it is read again as it is.
    drop(dotenvy::from_read(written(&values).as_bytes()));
    Ok(file)
}

fn find() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?;
    directory.ancestors().map(|directory| directory.join(".env")).find(|path| path.is_file())
}

/// Returns the values by name, and the findings to report about the file.
fn read(text: &str, is_set: impl Fn(&str) -> bool) -> Result<(BTreeMap<String, String>, EnvFile), EnvFileError> {
    let mut text = text.to_owned();
    let mut unreadable = Vec::new();
    let values: BTreeMap<String, String> = loop {
        let variables: Result<_, _> = dotenvy::from_read_iter(text.as_bytes()).collect();
        let refused = match variables {
            Ok(variables) => break variables,
            Err(dotenvy::Error::LineParse(refused, _)) => refused,
            Err(other) => return Err(EnvFileError::Read { path: ".env".into(), reason: error_chain(&other) }),
        };
        // The error has a part of the line, or all lines below a quotation mark that is never closed.
        let part = refused.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        // No setting may be lost without a word.
        let place = find_unreadable(&text, part).ok_or(EnvFileError::Unreadable)?;
        let number = text[..place.start].matches('\n').count() + 1;
        unreadable.push(UnreadableLine { number, name: name_in(&text[place.clone()]) });
        text.replace_range(place, "");
    };
    let unset = unset_references(&text, |name| is_set(name) || values.contains_key(name));
    Ok((values.clone(), EnvFile { variables: values.into_keys().collect(), unreadable, unset }))
}

/// The name at the beginning of a line. `None` if it could be a value.
fn name_in(line: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let end = line.find(|one: char| !one.is_ascii_alphanumeric() && one != '_')?;
    let (name, rest) = line.split_at(end);
    let is_name = name.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_') && name.len() <= MAX_NAME;
    (is_name && rest.trim_start().starts_with(['=', ':'])).then(|| name.to_owned())
}

/// Finds the line that has this part and cannot be read.
fn find_unreadable(text: &str, part: &str) -> Option<Range<usize>> {
    if part.is_empty() {
        return None;
    }
    let mut lines = text.match_indices(part).map(|(at, _)| {
        let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        begin..text[at..].find('\n').map_or(text.len(), |newline| at + newline)
    });
    lines.find(|place| dotenvy::from_read_iter(text[place.clone()].as_bytes()).any(|line| line.is_err()))
}

/// The references in values that are not in single quotes.
fn unset_references(text: &str, is_known: impl Fn(&str) -> bool) -> Vec<UnsetReference> {
    let lines = text.lines().filter_map(|line| Some((name_in(line)?, line.split_once('=')?.1.trim_start())));
    let values = lines.filter(|(_, value)| !value.starts_with('\''));
    let references = values.flat_map(|(name, value)| {
        let after =
            value.match_indices('$').filter(|(at, _)| !value[..*at].ends_with('\\')).map(|(at, _)| &value[at + 1..]);
        let variables = after.filter_map(|rest| {
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            let end = rest.find(|one: char| !one.is_ascii_alphanumeric() && one != '_').unwrap_or(rest.len());
            // A longer name may be a part of a secret.
            (end <= MAX_NAME).then(|| rest[..end].to_owned())
        });
        variables.map(move |variable| UnsetReference { name: name.clone(), variable }).collect::<Vec<_>>()
    });
    references.filter(|reference| !is_known(&reference.variable)).collect()
}

/// Writes values in double quotes, so that reading them again changes nothing.
fn written(values: &BTreeMap<String, String>) -> String {
    values.iter().fold(String::new(), |mut text, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}=\"{value}\"");
        text
    })
}

impl fmt::Display for UnreadableLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "line {} ({name})", self.number),
            None => write!(f, "line {}", self.number),
        }
    }
}

/// A `.env` that cannot be used. It shows no value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error(".env: {0} cannot be read: a line is NAME=VALUE, and {QUOTES}")]
    Line(UnreadableLine),
    #[error(".env: a line cannot be read: a line is NAME=VALUE, and {QUOTES}")]
    Unreadable,
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
}

/// The rule that lines break most often.
pub const QUOTES: &str = "a value with spaces, #, $ or \\ is in single quotes";

#[cfg(test)]
mod tests;
