use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use sandbox_link::frame::{Hello, LinkSecret};
use subtle::ConstantTimeEq;

/// Begins each secret that is made. Text that an agent says is masked, and an end of it that could begin a secret waits for
/// what follows; hardly any text ends like this. Coordinators of versions before made secrets without it, which stay good.
const PREFIX: &str = "~crl_";

/// Decides which connection is sandbox-init's. The agent has the same user and reaches the same socket.
#[derive(Debug)]
pub(super) struct Gate {
    secret: LinkSecret,
    /// sandbox-init has answered to a Welcome, so it has the secret. Until then no command was sent, hence no agent
    /// runs, and who comes without a secret can only be sandbox-init whose Welcome was lost.
    confirmed: AtomicBool,
}

impl Gate {
    /// For a new sandbox.
    pub(super) fn new() -> Self {
        let secret = rand::random::<[u8; 32]>().iter().fold(PREFIX.to_owned(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self { secret: LinkSecret::new(secret), confirmed: AtomicBool::new(false) }
    }

    /// For a sandbox that was given its secret earlier.
    pub(super) fn resume(secret: LinkSecret) -> Self {
        Self { secret, confirmed: AtomicBool::new(true) }
    }

    pub(super) fn secret(&self) -> &LinkSecret {
        &self.secret
    }

    pub(super) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// The reason of a refusal is for the log of who was refused; it tells nothing that helps to get in.
    pub(super) fn admit(&self, hello: &Hello) -> Result<(), &'static str> {
        match &hello.secret {
            None if self.confirmed.load(Ordering::Relaxed) => Err("the secret of this link was given out already"),
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
        Hello { secret: secret.map(|text| LinkSecret::new(text.to_owned())), last_received: 0, running: false }
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
