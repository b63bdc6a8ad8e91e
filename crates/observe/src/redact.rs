//! Masks the operator's secrets, and a session's own credential, where they show up in what an agent or a log line says.
//!
//! Found are secrets as they are, in JSON escapes of any spelling, and cut over the deltas of one text block. Not found is
//! what an agent makes of a secret (base64, hex, reversed, a JSON text inside a JSON text with needless escapes, spread over
//! several blocks or calls), and a part of one: who must not know it must not have it, which is what the gateway is for.
//! Values of `env` are not masked: they are the caller's own, meant for the agent's tools, and often ordinary words.

mod escapes;
mod log;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

pub use log::LogWriter;

/// What is seen in a secret's place.
pub const MASK: &str = "[redacted]";

/// Anything shorter is met by chance, and masking it would spoil ordinary text.
const MIN_BYTES: usize = 8;

/// The operator's secrets. They are few, and looked for one after the other.
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
    /// From now on this is masked. It is never forgotten: a token that was replaced may be good for a while yet.
    pub fn learn(&self, secret: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        add(Arc::make_mut(&mut known), secret);
    }

    /// `None`: there is nothing to mask.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, self.known().iter())
    }

    /// A line of a log. It is written at once, so no secret is cut over two writes.
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

    /// As [`Redactor::learn`], for this session.
    pub fn learn(&mut self, secret: &str) {
        add(&mut self.own, secret);
    }

    /// `None`: there is nothing to mask.
    pub fn text(&self, text: &str) -> Option<String> {
        mask(text, self.shared.known().iter().chain(&self.own))
    }

    /// A line of JSON, whose strings may be escaped in any way. `None`: there is nothing to mask.
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

    /// Takes the next piece of a text and returns what of it may be said: the end that could be the beginning of a secret
    /// is left in `held`, before which the next piece comes.
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

/// The longest come first, so that of two of which one begins with the other the whole is masked.
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

/// How many bytes at the end of `text` are the beginning of the secret, but not all of it.
fn begun(text: &str, secret: &str) -> usize {
    let (text, secret) = (text.as_bytes(), secret.as_bytes());
    let Some(last) = text.last() else { return 0 };
    let longest = text.len().min(secret.len() - 1);
    (1..=longest).rev().find(|&length| secret[length - 1] == *last && text.ends_with(&secret[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests;
