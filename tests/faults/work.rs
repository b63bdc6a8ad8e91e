//! The messages to the scripted model in the scenarios, and the ends that they must have.

use serde_json::{Value, json};

use crate::client::Work;
use crate::history::{Completes, Expected};

impl Work {
    /// So many words, 50 ms apart. `id` makes the message one that nobody else sends.
    pub(crate) fn slow(id: &str, words: usize) -> Self {
        let text: Vec<_> = (0..words).map(|word| format!("w{word} ")).collect();
        Work::new(&format!("task {id}\nslow:{words}"), Completes::WithText(text.concat()), Some(1))
    }

    /// A long answer at once, in pieces of 12 characters.
    pub(crate) fn long(id: &str, pieces: usize) -> Self {
        let text = format!("{id:_<12}").repeat(pieces);
        Work::new(&format!("task {id}\nsay:{text}"), Completes::WithText(text), Some(1))
    }

    /// A tool call that says how often it was made.
    pub(crate) fn tool(id: &str) -> Self {
        let command = format!("echo {id} >> calls; sleep 0.3; grep -cx {id} calls");
        let text = "Running it.done: 1".to_owned();
        Work::new(&format!("task {id}\nbash:{command}"), Completes::WithText(text), Some(2))
    }

    /// A shell command whose outcome is nobody's business.
    pub(crate) fn shell(id: &str, command: &str) -> Self {
        Work::new(&format!("task {id}\nbash:{command}"), Completes::WithAnyText, None)
    }

    /// For an agent that is not Claude Code.
    pub(crate) fn of_another_agent(message: &str) -> Self {
        Work::new(message, Completes::WithAnyText, None)
    }

    /// May end for one of these reasons, too.
    pub(crate) fn or(mut self, errors: &'static [&'static str]) -> Self {
        self.expected.errors = errors;
        self
    }

    /// Must end for one of these reasons.
    pub(crate) fn fails(mut self, errors: &'static [&'static str]) -> Self {
        self.expected = Expected { completes: Completes::Never, errors, requests: None };
        self
    }

    pub(crate) fn with(mut self, more: Value) -> Self {
        self.more = more;
        self
    }

    fn new(message: &str, completes: Completes, requests: Option<usize>) -> Self {
        let expected = Expected { completes, errors: &[], requests };
        Work { message: message.to_owned(), expected, more: json!({}) }
    }
}
