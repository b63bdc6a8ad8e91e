//! One line of text for an error and its causes.

use std::error::Error;

/// Joins an error and its causes with colons, outermost first.
pub fn error_chain(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        sentence = format!("{sentence}: {cause}");
        source = cause.source();
    }
    sentence
}
