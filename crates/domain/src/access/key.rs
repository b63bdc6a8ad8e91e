//! The record of an API key.

use jiff::Timestamp;
use serde::Serialize;

use super::{Digest, KeyId, KeyLimits, Scope};

/// An API key as the store keeps it.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: Option<String>,
    #[serde(skip)]
    pub digest: Digest,
    pub scope: Scope,
    /// If set, the key may use only sessions whose ids start with this prefix.
    pub sessions: Option<String>,
    pub limits: KeyLimits,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

impl ApiKey {
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    /// The key's state in one word, for lists.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked, self.is_valid(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "valid",
            (None, false) => "expired",
        }
    }
}
