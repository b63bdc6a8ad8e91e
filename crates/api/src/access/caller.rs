//! The caller of a request.

use domain::access::{KeyId, KeyLimits, Scope, Visible};
use domain::session::SessionId;
use tokio_util::sync::CancellationToken;

/// The caller of a request. Every authorized request has one, as an extension.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None`: this server never had keys, and every caller may do everything.
    pub key: Option<KeyId>,
    pub scope: Scope,
    pub visible: Visible,
    pub limits: KeyLimits,
    /// Cancelled when the key is revoked or expires, which ends the caller's open requests.
    pub revoked: CancellationToken,
}

impl Caller {
    /// Returns the anonymous caller, for servers without keys.
    pub fn anyone() -> Self {
        Caller {
            key: None,
            scope: Scope::Admin,
            visible: Visible::All,
            limits: KeyLimits::default(),
            revoked: CancellationToken::new(),
        }
    }

    pub fn sees(&self, session: &SessionId) -> bool {
        match &self.visible {
            Visible::All => true,
            Visible::Prefix(prefix) => session.as_str().starts_with(prefix),
            Visible::Only(only) => only == session,
        }
    }
}
