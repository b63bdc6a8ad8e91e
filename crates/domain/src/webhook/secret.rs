//! The secrets that sign webhook deliveries.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// `whsec_` and 24 to 64 bytes in base64, the format of Standard Webhooks.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

/// The error never contains the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook's secret is whsec_ and 24 to 64 random bytes in base64: `echo whsec_$(openssl rand -base64 32)` creates one"
)]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    const PREFIX: &str = "whsec_";

    /// The signing key as raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret in its text form.
    pub fn text(&self) -> SecretString {
        format!("{}{}", Self::PREFIX, STANDARD.encode(&*self.0)).into()
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidWebhookSecret;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(InvalidWebhookSecret)?;
        let bytes = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| InvalidWebhookSecret)?;
        if (24..=64).contains(&bytes.len()) { Ok(WebhookSecret(bytes)) } else { Err(InvalidWebhookSecret) }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// The secrets in WEBHOOK_SECRET, for targets that have no secret of their own. All of them sign each delivery, so that
/// receivers can rotate from one to the next.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets(Vec<WebhookSecret>);

impl WebhookSecrets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn each(&self) -> std::slice::Iter<'_, WebhookSecret> {
        self.0.iter()
    }
}

impl FromStr for WebhookSecrets {
    type Err = InvalidWebhookSecret;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(WebhookSecrets)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{WebhookSecret, WebhookSecrets};

    #[test]
    fn a_secret_is_read_and_written_in_one_form() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let secret: WebhookSecret = text.parse().unwrap();
        assert_eq!((secret.text().expose_secret(), secret.as_bytes().len()), (text, 24));
    }

    #[test]
    fn a_secret_has_its_prefix_and_length_and_is_not_repeated() {
        let of = |bytes: usize| format!("whsec_{}", base64::Engine::encode(&super::STANDARD, vec![7; bytes]));
        for good in [of(24), of(64), format!("{}, {}", of(24), of(32)), String::new()] {
            assert!(good.parse::<WebhookSecrets>().is_ok(), "{good}");
        }
        for bad in [of(23), of(65), "whsec_".to_owned(), of(24).replace("whsec_", ""), format!("{},x", of(24))] {
            let error = bad.parse::<WebhookSecrets>().unwrap_err().to_string();
            assert!(bad == "whsec_" || !error.contains(&bad), "{error}");
        }
    }
}
