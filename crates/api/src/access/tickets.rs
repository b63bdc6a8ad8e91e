//! Tickets: with a ticket, a page opens one session's stream, once, without a key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::access::{Digest, Scope, Visible};
use domain::session::SessionId;
use secrecy::SecretString;
use tokio::time::Instant;

use super::Caller;

/// The maximum numbers of open tickets, of all keys and of one. A page uses its ticket at once.
const MAX_TICKETS: usize = 10_000;
const MAX_TICKETS_OF_A_KEY: usize = 2_500;

/// Tickets are only in memory: after a restart a page asks for another one. They are found by digest, so that a look-up reveals
/// nothing about other tickets.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<[u8; 32], Kept>>);

struct Kept {
    session: SessionId,
    origin: Option<String>,
    /// The caller that made the ticket.
    caller: Caller,
    expires: Instant,
}

/// A new ticket, as its caller gets it.
pub struct Ticket {
    pub text: SecretString,
    pub lifetime: Duration,
}

impl Tickets {
    const LIFETIME: Duration = Duration::from_secs(30);

    /// Issues a ticket for a session, limited to pages of `origin` if that is given. `None`: too many tickets are open.
    pub fn issue(&self, caller: &Caller, session: SessionId, origin: Option<String>) -> Option<Ticket> {
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let kept = Kept { session, origin, caller: caller.clone(), expires: Instant::now() + Self::LIFETIME };
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, kept| Instant::now() < kept.expires);
        let own = tickets.values().filter(|kept| kept.caller.key == caller.key).count();
        if tickets.len() >= MAX_TICKETS || own >= MAX_TICKETS_OF_A_KEY {
            return None;
        }
        tickets.insert(*Digest::of(&text).as_bytes(), kept);
        Some(Ticket { text: text.into(), lifetime: Self::LIFETIME })
    }

    /// Redeems a ticket, which is then used up even if it is refused. The returned caller may read that session, and is revoked
    /// with the key that made the ticket.
    pub(crate) fn redeem(&self, text: &str, session: &SessionId, origin: Option<&str>) -> Option<Caller> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(Digest::of(text).as_bytes())?;
        let fits = Instant::now() < kept.expires
            && kept.session == *session
            && kept.origin.as_deref().is_none_or(|wanted| origin == Some(wanted))
            && !kept.caller.revoked.is_cancelled();
        fits.then(|| Caller { scope: Scope::Read, visible: Visible::Only(kept.session), ..kept.caller })
    }
}

#[cfg(test)]
mod tests;
