//! The secret part of an API key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::KeyId;

/// The SHA-256 digest of a complete key. A secret with 256 random bits does not need a slow hash.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(text: &str) -> Self {
        Digest(sha2::Sha256::digest(text.as_bytes()).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn is(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest")
    }
}

/// A complete API key, `crk_ID_SECRET`, as its owner receives it.
#[derive(Debug)]
pub struct KeySecret {
    pub id: KeyId,
    text: SecretString,
}

impl KeySecret {
    const PREFIX: &str = "crk_";
    const SECRET_BYTES: usize = 32;

    /// Generates a key with 256 random bits.
    pub fn generate() -> Self {
        let id = KeyId::generate();
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; Self::SECRET_BYTES]>());
        let text = format!("{}{id}_{secret}", Self::PREFIX).into();
        KeySecret { id, text }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.text.expose_secret())
    }

    /// The complete key. It is shown once, when the key is created.
    pub fn text(&self) -> &SecretString {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{Digest, KeySecret};

    #[test]
    fn a_key_is_found_by_its_digest_only() {
        let [one, other] = [KeySecret::generate(), KeySecret::generate()];
        let text = one.text().expose_secret();
        assert!(text.starts_with(&format!("crk_{}_", one.id)) && text.len() == 4 + 10 + 1 + 43, "{text}");
        assert!(Digest::of(text).is(&one.digest()));
        assert!(!Digest::of(text).is(&other.digest()));
        assert!(!format!("{one:?}").contains(&text[15..]));
    }
}
