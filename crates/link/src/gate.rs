use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use sandbox_link::frame::{Hello, LinkSecret};
use subtle::ConstantTimeEq;

/// The prefix of every generated secret. The agent's text is masked, and an end of it that could start a secret is held
/// back until more text follows; hardly any text ends like this. Secrets of earlier versions lack the prefix and stay
/// valid.
const PREFIX: &str = "~crl_";

/// Decides if a connection comes from sandbox-init. The agent runs as the same user and can connect to the same socket.
#[derive(Debug)]
pub(super) struct Gate {
    secret: LinkSecret,
    /// sandbox-init has answered a Welcome, so it has the secret. Before that no command was sent, so no agent runs: a
    /// connection without a secret can only come from a sandbox-init whose Welcome was lost.
    confirmed: AtomicBool,
}

impl Gate {
    /// The gate of a new sandbox, with a new secret.
    pub(super) fn new() -> Self {
        let secret = rand::random::<[u8; 32]>().iter().fold(PREFIX.to_owned(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self { secret: LinkSecret::new(secret), confirmed: AtomicBool::new(false) }
    }

    /// The gate of a sandbox that already has its secret.
    pub(super) fn resume(secret: LinkSecret) -> Self {
        Self { secret, confirmed: AtomicBool::new(true) }
    }

    pub(super) fn secret(&self) -> &LinkSecret {
        &self.secret
    }

    pub(super) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Checks a Hello. The reason of a rejection goes to the log of the rejected side and reveals nothing that helps to
    /// pass.
    pub(super) fn admit(&self, hello: &Hello) -> Result<(), &'static str> {
        match &hello.secret {
            None if self.confirmed.load(Ordering::Relaxed) => Err("the secret of this link was already issued"),
            None => Ok(()),
            Some(secret) if secret.expose().as_bytes().ct_eq(self.secret.expose().as_bytes()).into() => Ok(()),
            Some(_) => Err("this is not the secret of this link"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(secret: Option<&str>) -> Hello {
        let secret = secret.map(|text| LinkSecret::new(text.to_owned()));
        Hello { version: sandbox_link::PROTOCOL_VERSION, secret, last_received: 0, running: false }
    }

    #[test]
    fn without_a_secret_only_until_one_has_arrived() {
        let gate = Gate::new();
        let (begin, random) = gate.secret().expose().split_at(PREFIX.len());
        assert_eq!((begin, random.len()), (PREFIX, 64));
        assert_eq!(gate.admit(&hello(None)), Ok(()));
        assert_eq!(gate.admit(&hello(None)), Ok(()));
        gate.confirm();
        assert!(gate.admit(&hello(None)).is_err());
        assert_eq!(gate.admit(&hello(Some(gate.secret().expose()))), Ok(()));
        assert!(gate.admit(&hello(Some(""))).is_err());
        assert!(gate.admit(&hello(Some(&"0".repeat(64)))).is_err());
    }

    #[test]
    fn a_resumed_link_wants_its_secret() {
        let gate = Gate::resume(LinkSecret::new("known".to_owned()));
        assert!(gate.admit(&hello(None)).is_err());
        assert_eq!(gate.admit(&hello(Some("known"))), Ok(()));
    }
}
