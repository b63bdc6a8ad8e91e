//! Rules for the variables in a task's `env`.

/// The longest name of a variable in bytes.
const MAX_VARIABLE_NAME_BYTES: usize = 256;
/// The longest value of a variable in bytes. Linux gives a process no variable above 128 KiB, name included.
pub const MAX_VARIABLE_BYTES: usize = 64 * 1024;

/// The reason why a variable name is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableProblem {
    #[error("{0:?} is not a name; use letters, digits and _, not beginning with a digit")]
    NotAName(String),
    #[error("{0:?}… is too long; a name has at most {MAX_VARIABLE_NAME_BYTES} characters")]
    TooLong(String),
    /// The variable would change how the agent itself runs.
    #[error("{0} is set by the server and cannot be given")]
    Ours(String),
}

/// Number of characters of a rejected name that the error quotes.
const SHOWN: usize = 64;

/// Checks that callers may set a variable of this name. The caller's own credential variables are an exception that the
/// caller of this function makes.
pub fn check_variable(name: &str) -> Result<(), VariableProblem> {
    let inner = |(i, b): (usize, u8)| b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit());
    if name.is_empty() || !name.bytes().enumerate().all(inner) {
        return Err(VariableProblem::NotAName(name.chars().take(SHOWN).collect()));
    }
    if name.len() > MAX_VARIABLE_NAME_BYTES {
        return Err(VariableProblem::TooLong(name.chars().take(SHOWN).collect()));
    }
    let upper = name.to_ascii_uppercase();
    let ours = upper.starts_with("ANTHROPIC_")
        || upper.starts_with("CLAUDE_")
        || upper.starts_with("LD_")
        || upper.ends_with("_PROXY")
        || ["HOME", "PATH"].contains(&upper.as_str());
    if ours { Err(VariableProblem::Ours(name.to_owned())) } else { Ok(()) }
}
