//! Masks the operator's secrets, and a session's own credential, in output of the agent and in log lines.
//!
//! It finds secrets in plain text, in any spelling of JSON escapes, and split across the deltas of one text block. It
//! does not find a secret that the agent transformed (base64, hex, reversed, JSON inside JSON with needless escapes,
//! spread over several blocks or calls), or a part of one. Masking is not the protection against that: the gateway
//! keeps secrets out of sandboxes. Values of `env` are not masked, because they are the caller's own, intended for the
//! agent's tools, and often ordinary words.

mod escapes;
mod log;
mod secrets;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

pub use log::LogWriter;
use secrets::{Pattern, Secrets, mask};

/// The text that replaces a secret.
pub const MASK: &str = "[redacted]";

/// The operator's secrets.
#[derive(Debug, Default)]
pub struct Redactor {
    known: RwLock<Arc<Secrets>>,
}

/// The operator's secrets and those of one session.
#[derive(Debug, Default)]
pub struct SessionRedactor {
    shared: Arc<Redactor>,
    own: Secrets,
}

impl Redactor {
    /// Masks this secret from now on. It is never forgotten, because a replaced token may still be valid for a while.
    pub fn learn(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(more) = known.with(secret) {
            *known = Arc::new(more);
        }
    }

    /// Masks a text. Returns `None` if it contains no secret.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, Pattern::Plain, [&*self.known()])
    }

    /// Masks a log line. A line is written in one piece, so no secret is split across two writes.
    pub fn log_line<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match self.text(&String::from_utf8_lossy(line)) {
            Some(masked) => Cow::Owned(masked.into_bytes()),
            None => Cow::Borrowed(line),
        }
    }

    fn known(&self) -> Arc<Secrets> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SessionRedactor {
    pub fn new(shared: Arc<Redactor>) -> Self {
        SessionRedactor { shared, own: Secrets::default() }
    }

    /// Masks these secrets in this session from now on, and forgets the session's earlier ones.
    pub fn replace<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        self.own.replace(secrets);
    }

    /// Masks a text. Returns `None` if it contains no secret.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, Pattern::Plain, [&*self.shared.known(), &self.own])
    }

    /// Masks a line of JSON, whose strings may be escaped in any way. Returns `None` if it contains no secret.
    pub fn line(&self, json: &str) -> Option<String> {
        let plain = escapes::undone(json);
        mask(plain.as_deref().unwrap_or(json), Pattern::Json, [&*self.shared.known(), &self.own])
    }

    /// Masks a text that arrives in pieces. Returns the part that is safe to publish. The end that may be the beginning
    /// of a secret stays in `held`, in front of the next piece.
    pub fn pass(&self, held: &mut String, piece: &str) -> String {
        held.push_str(piece);
        if let Some(masked) = self.text(held) {
            *held = masked;
        }
        let keep = self.shared.known().begun(held).max(self.own.begun(held));
        let rest = held.split_off(held.len() - keep);
        std::mem::replace(held, rest)
    }
}

#[cfg(test)]
mod tests;
