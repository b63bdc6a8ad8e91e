//! The file `.env`.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use domain::{error_chain, plain};

/// The names in `.env`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    pub variables: Vec<String>,
    /// The beginnings of lines that cannot be read. The file may be another program's, with other rules.
    pub unreadable: Vec<String>,
}

/// Reads `.env` in the working directory or above it, if it exists. Variables that are already set win over it.
pub fn load_env_file() -> Result<EnvFile, EnvFileError> {
    let Some(path) = find() else { return Ok(EnvFile::default()) };
    let text = fs::read_to_string(&path);
    let text = text.map_err(|error| EnvFileError::Read { path, reason: plain::of_os(&error.to_string()) })?;
    let (readable, file) = read(text.trim_start_matches('\u{feff}'))?;
    // Each of its lines has been read once already.
    drop(dotenvy::from_read(readable.as_bytes()));
    Ok(file)
}

fn find() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?;
    directory.ancestors().map(|directory| directory.join(".env")).find(|path| path.is_file())
}

/// Returns the text without the lines that cannot be read, and the names.
fn read(text: &str) -> Result<(String, EnvFile), EnvFileError> {
    let mut text = text.to_owned();
    let mut unreadable = Vec::new();
    loop {
        let variables: Result<Vec<_>, _> = dotenvy::from_read_iter(text.as_bytes()).collect();
        let refused = match variables {
            Ok(variables) => {
                let variables = variables.into_iter().map(|(name, _)| name).collect();
                return Ok((text, EnvFile { variables, unreadable }));
            }
            Err(dotenvy::Error::LineParse(refused, _)) => refused,
            Err(other) => return Err(EnvFileError::Read { path: ".env".into(), reason: error_chain(&other) }),
        };
        // The error has a part of the line, or all lines below a quotation mark that is never closed.
        let part = refused.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        // No setting may be lost without a word.
        let place = find_unreadable(&text, part).ok_or_else(|| EnvFileError::Line(name_in(part)))?;
        unreadable.push(name_in(&text[place.clone()]));
        text.replace_range(place, "");
    }
}

/// The beginning of a line, without its value.
fn name_in(line: &str) -> String {
    line.trim().split(['=', ' ']).next().unwrap_or_default().chars().take(64).collect()
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

/// A `.env` that cannot be used. It shows no value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    #[error(
        ".env: the line that begins with {0:?} cannot be read: a line is NAME=VALUE, and a value with spaces or # is in quotes"
    )]
    Line(String),
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_is_left_out() {
        let (text, file) =
            read("A=1\nX=\"hello world\"\nGREETING=hello world\nB=\"two words\"\nC='open\nD=4\n").unwrap();
        assert_eq!(file.variables, ["A", "X", "B", "D"]);
        assert_eq!(file.unreadable, ["GREETING", "C"]);
        assert!(text.contains("A=1") && !text.contains("GREETING"), "{text}");
        assert_eq!(read("").unwrap(), (String::new(), EnvFile::default()));
    }
}
