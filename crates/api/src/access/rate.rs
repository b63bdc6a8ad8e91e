//! Rate limits: requests of a key, and failed guesses of an address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::access::KeyId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Wrong keys that an address may send in a minute.
const GUESSES: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Above this number of keys or addresses, idle ones are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// Counts calls. Each key may use a minute's calls at once, and regains them one by one.
pub struct Rate {
    calls: Option<DefaultKeyedRateLimiter<Option<KeyId>>>,
    guesses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

/// The caller may try again after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRequests(pub Duration);

impl Rate {
    /// `per_minute` is the limit of one key. `None`: no limit.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        Rate {
            calls: per_minute.map(|calls| RateLimiter::keyed(Quota::per_minute(calls))),
            guesses: RateLimiter::keyed(Quota::per_minute(GUESSES)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a call with a valid key, or on a server without keys.
    pub fn call(&self, key: Option<&KeyId>) -> Result<(), TooManyRequests> {
        let Some(calls) = &self.calls else { return Ok(()) };
        if calls.len() > MAX_REMEMBERED {
            calls.retain_recent();
        }
        let key = key.cloned();
        calls.check_key(&key).map_err(|until| TooManyRequests(until.wait_time_from(self.clock.now())))
    }

    /// Counts a call with a wrong key or none.
    pub(crate) fn guess(&self, peer: IpAddr) -> Result<(), TooManyRequests> {
        if self.guesses.len() > MAX_REMEMBERED {
            self.guesses.retain_recent();
        }
        self.guesses.check_key(&peer).map_err(|until| TooManyRequests(until.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn each_key_has_calls_of_its_own() {
        let rate = Rate::new(2.try_into().ok());
        let [one, other] = ["a", "b"].map(|id| id.parse().ok());
        assert!(rate.call(one.as_ref()).is_ok() && rate.call(one.as_ref()).is_ok());
        let refused = rate.call(one.as_ref()).unwrap_err();
        assert!(!refused.0.is_zero());
        assert!(rate.call(other.as_ref()).is_ok());
        let unlimited = Rate::new(None);
        assert!((0..1000).all(|_| unlimited.call(None).is_ok()));
        let peer = "192.0.2.1".parse().unwrap();
        assert_eq!((0..40).filter(|_| unlimited.guess(peer).is_ok()).count(), 30);
    }
}
