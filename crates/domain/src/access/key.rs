//! An API key as the store has it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Digest, KeyId, KeyLimits, Scope};

#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: Option<String>,
    #[serde(skip)]
    pub digest: Digest,
    pub scope: Scope,
    /// Only sessions whose ids begin with this.
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

    /// One word for a list.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.revoked, self.is_valid(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "valid",
            (None, false) => "expired",
        }
    }
}
