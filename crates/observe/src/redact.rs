//! Masks the operator's secrets, and a session's own credential, in output of the agent and in log lines.
//!
//! It finds secrets in plain text, in any spelling of JSON escapes, and split across the deltas of one text block. It
//! does not find a secret that the agent transformed (base64, hex, reversed, JSON inside JSON with needless escapes,
//! spread over several blocks or calls), or a part of one. Masking is not the protection against that: the gateway
//! keeps secrets out of sandboxes. Values of `env` are not masked, because they are the caller's own, intended for the
//! agent's tools, and often ordinary words.

mod escapes;
mod log;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

pub use log::LogWriter;

/// The text that replaces a secret.
pub const MASK: &str = "[redacted]";

/// The minimum length of a secret. Shorter values occur by chance, and masking them would spoil ordinary text.
const MIN_BYTES: usize = 8;

/// The operator's secrets. There are few, so the search tries one after the other.
#[derive(Debug, Default)]
pub struct Redactor {
    known: RwLock<Arc<Vec<SecretString>>>,
}

/// The operator's secrets and those of one session.
#[derive(Debug, Default)]
pub struct SessionRedactor {
    shared: Arc<Redactor>,
    own: Vec<SecretString>,
}

impl Redactor {
    /// Masks this secret from now on. It is never forgotten, because a replaced token may still be valid for a while.
    pub fn learn(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        add(Arc::make_mut(&mut known), secret);
    }

    /// Masks a text. Returns `None` if it contains no secret.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, self.known().iter())
    }

    /// Masks a log line. A line is written in one piece, so no secret is split across two writes.
    pub fn log_line<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match self.text(&String::from_utf8_lossy(line)) {
            Some(masked) => Cow::Owned(masked.into_bytes()),
            None => Cow::Borrowed(line),
        }
    }

    fn known(&self) -> Arc<Vec<SecretString>> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SessionRedactor {
    pub fn new(shared: Arc<Redactor>) -> Self {
        SessionRedactor { shared, own: Vec::new() }
    }

    /// Masks this secret in this session from now on.
    pub fn learn(&mut self, secret: &str) {
        add(&mut self.own, secret);
    }

    /// Masks a text. Returns `None` if it contains no secret.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, self.shared.known().iter().chain(&self.own))
    }

    /// Masks a line of JSON, whose strings may be escaped in any way. Returns `None` if it contains no secret.
    pub fn line(&self, json: &str) -> Option<String> {
        let plain = escapes::undone(json);
        let known = self.shared.known();
        let known = known.iter().chain(&self.own);
        let masked = mask(plain.as_deref().unwrap_or(json), known.clone());
        let quoted: Vec<SecretString> =
            known.filter_map(|secret| escapes::escaped(secret.expose_secret())).map(Into::into).collect();
        if quoted.is_empty() {
            return masked;
        }
        let again = mask(masked.as_deref().or(plain.as_deref()).unwrap_or(json), quoted.iter());
        again.or(masked)
    }

    /// Masks a text that arrives in pieces. Returns the part that is safe to publish. The end that may be the beginning
    /// of a secret stays in `held`, in front of the next piece.
    pub fn pass(&self, held: &mut String, piece: &str) -> String {
        held.push_str(piece);
        if let Some(masked) = self.text(held) {
            *held = masked;
        }
        let known = self.shared.known();
        let keep = known.iter().chain(&self.own).map(|secret| begun(held, secret.expose_secret())).max().unwrap_or(0);
        let rest = held.split_off(held.len() - keep);
        std::mem::replace(held, rest)
    }
}

/// Inserts a secret, longest first. If one secret is a prefix of another, the longer one is masked completely.
fn add(secrets: &mut Vec<SecretString>, secret: &str) {
    if secret.len() < MIN_BYTES || secrets.iter().any(|known| known.expose_secret() == secret) {
        return;
    }
    let at = secrets.partition_point(|known| known.expose_secret().len() >= secret.len());
    secrets.insert(at, secret.into());
}

fn mask<'a>(text: &str, secrets: impl Iterator<Item = &'a SecretString>) -> Option<String> {
    let mut masked: Option<String> = None;
    for secret in secrets.map(ExposeSecret::expose_secret) {
        let looked_at = masked.as_deref().unwrap_or(text);
        if memmem::find(looked_at.as_bytes(), secret.as_bytes()).is_some() {
            masked = Some(looked_at.replace(secret, MASK));
        }
    }
    masked
}

/// The number of bytes at the end of `text` that are a proper prefix of the secret.
fn begun(text: &str, secret: &str) -> usize {
    let (text, secret) = (text.as_bytes(), secret.as_bytes());
    let Some(last) = text.last() else { return 0 };
    let longest = text.len().min(secret.len() - 1);
    (1..=longest).rev().find(|&length| secret[length - 1] == *last && text.ends_with(&secret[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests;
