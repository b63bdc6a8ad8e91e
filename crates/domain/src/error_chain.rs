//! One line of text for an error and its causes.

use std::error::Error;

use crate::plain;

/// Joins an error and its causes with colons, outermost first. A cause that the text already ends with is not repeated,
/// because some errors include their cause in their own message. Messages of the operating system are replaced by plain ones.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    plain::of_os(&text)
}

#[cfg(test)]
mod tests {
    use super::error_chain;

    #[derive(Debug, thiserror::Error)]
    enum Sample {
        #[error("the disk is full")]
        Disk,
        #[error("could not write: {0}")]
        Write(#[source] Box<Sample>),
        #[error("could not save")]
        Save(#[source] Box<Sample>),
    }

    #[test]
    fn each_cause_appears_once() {
        let error = Sample::Save(Box::new(Sample::Write(Box::new(Sample::Disk))));
        assert_eq!(error_chain(&error), "could not save: could not write: the disk is full");
    }
}
