//! The target of a webhook.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{InvalidWebhookSecret, WebhookSecret};

/// A URL, and the secret that signs deliveries if the caller gave one. The URL's query may contain a secret too, so the
/// store seals the whole target.
#[derive(Clone)]
pub struct Target {
    url: Url,
    secret: Option<WebhookSecret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error("it must be a URL like https://app.example.com/hooks, of at most {} bytes", Target::MAX_BYTES)]
    Url,
    #[error(transparent)]
    Secret(#[from] InvalidWebhookSecret),
}

#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    url: &'a str,
    secret: Option<&'a str>,
}

impl Target {
    pub const MAX_BYTES: usize = 2048;

    pub fn new(url: &str, secret: Option<&str>) -> Result<Target, InvalidTarget> {
        let mut url: Url = Some(url)
            .filter(|url| url.len() <= Self::MAX_BYTES)
            .and_then(|url| url.parse().ok())
            .filter(Url::has_host)
            .ok_or(InvalidTarget::Url)?;
        url.set_fragment(None);
        Ok(Target { url, secret: secret.map(str::parse).transpose()? })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The caller's own secret.
    pub fn secret(&self) -> Option<&WebhookSecret> {
        self.secret.as_ref()
    }

    /// `HOST:PORT`, the key of the limit on concurrent attempts.
    pub fn host(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    /// The URL for display. The query is omitted because it may contain a secret.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        if self.url.query().is_some() { format!("{url}?…") } else { url.to_string() }
    }

    /// Serialises the target, for sealing.
    pub fn to_text(&self) -> SecretString {
        let secret = self.secret.as_ref().map(WebhookSecret::text);
        let kept = Kept { url: self.url.as_str(), secret: secret.as_ref().map(secrecy::SecretString::expose_secret) };
        serde_json::to_string(&kept).unwrap_or_default().into()
    }

    /// Parses the output of [`Target::to_text`].
    pub fn of_text(text: &SecretString) -> Option<Target> {
        let kept: Kept<'_> = serde_json::from_str(text.expose_secret()).ok()?;
        Target::new(kept.url, kept.secret).ok()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.host()).finish()
    }
}

#[cfg(test)]
mod tests;
