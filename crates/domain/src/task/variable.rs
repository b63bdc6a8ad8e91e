//! Rules for variable names in a task's `env`.

/// The reason why a variable name is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableProblem {
    #[error("{0:?} is not a name; use letters, digits and _, not beginning with a digit")]
    NotAName(String),
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
    let upper = name.to_ascii_uppercase();
    let ours = upper.starts_with("ANTHROPIC_")
        || upper.starts_with("CLAUDE_")
        || upper.starts_with("LD_")
        || upper.ends_with("_PROXY")
        || ["HOME", "PATH"].contains(&upper.as_str());
    if ours { Err(VariableProblem::Ours(name.to_owned())) } else { Ok(()) }
}
