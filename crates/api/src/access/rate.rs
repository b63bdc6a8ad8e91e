//! Rate limits: requests of a key, and failed guesses of an address.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::access::KeyId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::network;

/// Wrong keys that an address may send in a minute.
const GUESSES: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Above this number of keys or addresses, idle ones are dropped.
const MAX_REMEMBERED: usize = 10_000;
/// The time between two looks for idle ones, because a look examines all of them.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Above this number of addresses that guessed within a minute, all guesses count as those of one address. Valid keys do not count.
const MAX_ADDRESSES: usize = 50_000;
const CROWD: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Counts calls. Each key may use a minute's calls at once, and regains them one by one.
pub struct Rate {
    calls: Option<DefaultKeyedRateLimiter<Option<KeyId>>>,
    guesses: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    looked: Mutex<Instant>,
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
            looked: Mutex::new(Instant::now()),
        }
    }

    /// Counts a call with a valid key, or on a server without keys.
    pub fn call(&self, key: Option<&KeyId>) -> Result<(), TooManyRequests> {
        let Some(calls) = &self.calls else { return Ok(()) };
        if calls.len() > MAX_REMEMBERED && self.may_look() {
            calls.retain_recent();
        }
        let key = key.cloned();
        calls.check_key(&key).map_err(|until| TooManyRequests(until.wait_time_from(self.clock.now())))
    }

    /// Returns true once in each interval.
    fn may_look(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let may_look = looked.elapsed() >= LOOK_INTERVAL;
        if may_look {
            *looked = Instant::now();
        }
        may_look
    }

    /// Counts a call with a wrong key or none.
    pub(crate) fn guess(&self, peer: IpAddr) -> Result<(), TooManyRequests> {
        if self.guesses.len() > MAX_REMEMBERED && self.may_look() {
            self.guesses.retain_recent();
        }
        let address = if self.guesses.len() < MAX_ADDRESSES { network(peer) } else { CROWD };
        self.guesses.check_key(&address).map_err(|until| TooManyRequests(until.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::{MAX_ADDRESSES, Rate};

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

    #[test]
    fn a_network_guesses_as_one_address() {
        let rate = Rate::new(None);
        let host = |number: u16| Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, number).into();
        assert_eq!((0..40).filter(|number| rate.guess(host(*number)).is_ok()).count(), 30);
        assert!(rate.guess("2001:db8:1:3::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let rate = Rate::new(None);
        for number in 0..2 * u32::try_from(MAX_ADDRESSES).unwrap() {
            let _ = rate.guess(Ipv4Addr::from_bits(number).into());
        }
        assert!(rate.guesses.len() <= MAX_ADDRESSES + 1, "{} addresses", rate.guesses.len());
    }
}
