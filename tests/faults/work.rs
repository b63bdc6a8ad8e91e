//! The messages that scenarios send to the scripted model, and the ends that their tasks must have.

use serde_json::{Value, json};

use crate::client::Work;
use crate::history::{Completes, Expected};

impl Work {
    /// Answers with this many words, 50 ms apart. `id` makes the message unique.
    pub(crate) fn slow(id: &str, words: usize) -> Self {
        let text: Vec<_> = (0..words).map(|word| format!("w{word} ")).collect();
        Work::new(&format!("task {id}\nslow:{words}"), Completes::WithText(text.concat()), Some(1))
    }

    /// Answers at once with a long text, in pieces of 12 characters.
    pub(crate) fn long(id: &str, pieces: usize) -> Self {
        let text = format!("{id:_<12}").repeat(pieces);
        Work::new(&format!("task {id}\nsay:{text}"), Completes::WithText(text), Some(1))
    }

    /// Makes a tool call that counts how often it ran.
    pub(crate) fn tool(id: &str) -> Self {
        let command = format!("echo {id} >> calls; sleep 0.3; grep -cx {id} calls");
        let text = "Running it.done: 1".to_owned();
        Work::new(&format!("task {id}\nbash:{command}"), Completes::WithText(text), Some(2))
    }

    /// Runs a shell command whose outcome is not checked.
    pub(crate) fn shell(id: &str, command: &str) -> Self {
        Work::new(&format!("task {id}\nbash:{command}"), Completes::WithAnyText, None)
    }

    /// Sends a message to an agent other than Claude Code.
    pub(crate) fn of_another_agent(message: &str) -> Self {
        Work::new(message, Completes::WithAnyText, None)
    }

    /// Allows these reasons for the end as well.
    pub(crate) fn or(mut self, errors: &'static [&'static str]) -> Self {
        self.expected.errors = errors;
        self
    }

    /// Requires one of these reasons for the end.
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
