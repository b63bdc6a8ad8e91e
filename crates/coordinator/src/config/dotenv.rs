//! The file `.env`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use domain::{error_chain, plain};

use super::is_unset_by_empty;

/// The names in `.env`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    pub variables: BTreeSet<String>,
    /// The lines that cannot be read. The file may be another program's, with other rules.
    pub unreadable: Vec<UnreadableLine>,
    /// The names whose values lack a part: `$NAME` stands for a variable, and that one is not set.
    pub incomplete: BTreeSet<String>,
}

/// A line that is left out. Nothing of its value is kept, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLine {
    /// From 1.
    pub number: usize,
    /// The text before `=`, if it can only be a name.
    pub name: Option<String>,
}

/// A name of a variable has at most this many characters. A line of a key in PEM has 64.
const MAX_NAME: usize = 40;

/// Reads `.env` in the working directory or above it, if it exists. Variables that are already set win over it, but for those that are
/// empty and mean nothing by that (`EMPTY_MEANS_SOMETHING`). Of several lines with one name the last one counts.
pub fn load_env_file() -> Result<EnvFile, EnvFileError> {
    let Some(path) = find() else { return Ok(EnvFile::default()) };
    let text = fs::read_to_string(&path);
    let text = text.map_err(|error| EnvFileError::Read { path, reason: plain::of_os(&error.to_string()) })?;
    let (mut values, file) = read(text.trim_start_matches('\u{feff}'), |name| std::env::var_os(name).is_some())?;
    values.retain(|name, _| std::env::var_os(name).is_none() || is_unset_by_empty(name));
    // Each value has been read once already, and this writes it so that it is read again as it is.
    drop(dotenvy::from_read_override(written(&values).as_bytes()));
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
    let incomplete = references::incomplete(&text, is_set);
    Ok((values.clone(), EnvFile { variables: values.into_keys().collect(), unreadable, incomplete }))
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

mod references;

#[cfg(test)]
mod tests;
