//! The share of a bounded resource that one caller may hold, so that no caller takes all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::access::KeyId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Caller;

/// The holder of a share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Key(KeyId),
    /// A caller without a key, by its [`network`].
    Address(IpAddr),
    /// All trusted proxies together. Their connections carry the requests of many callers.
    Proxies,
}

/// A bounded resource.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Bounded>);

#[derive(Debug)]
struct Bounded {
    total: usize,
    /// The most that one holder may have.
    share: usize,
    held: Mutex<Held>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by: HashMap<Holder, usize>,
}

/// The part of a pool that a holder took. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Pool,
    holder: Holder,
    amount: usize,
}

/// The reason why a holder gets no more of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The holder already has its share, which is this large.
    Share(usize),
    /// The whole resource is in use.
    Total,
}

impl Holder {
    pub(crate) fn of(caller: &Caller, peer: IpAddr) -> Self {
        caller.key.clone().map_or_else(|| Holder::Address(network(peer)), Holder::Key)
    }
}

impl Pool {
    /// A resource whose owner bounds the total. Each holder may have `share` of it.
    pub(crate) fn of_shares(share: usize) -> Self {
        Pool::new(usize::MAX, share)
    }

    pub(crate) fn new(total: usize, share: usize) -> Self {
        Pool(Arc::new(Bounded { total, share, held: Mutex::default(), returned: Notify::new() }))
    }

    /// Takes a share like [`Pool::take`], and waits up to `wait` for others to return theirs.
    pub(crate) async fn take_within(&self, holder: &Holder, amount: usize, wait: Duration) -> Result<Share, Exhausted> {
        let deadline = Instant::now() + wait;
        loop {
            let mut returned = pin!(self.0.returned.notified());
            // Register interest before the check, so that a share that is returned in between is not missed.
            returned.as_mut().enable();
            match self.take(holder, amount) {
                Ok(share) => return Ok(share),
                Err(exhausted) if timeout_at(deadline, returned).await.is_err() => return Err(exhausted),
                Err(_) => {}
            }
        }
    }

    pub(crate) fn take(&self, holder: &Holder, amount: usize) -> Result<Share, Exhausted> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.by.get(holder).copied().unwrap_or(0);
        if own + amount > self.0.share {
            return Err(Exhausted::Share(self.0.share));
        }
        if held.total + amount > self.0.total {
            return Err(Exhausted::Total);
        }
        held.total += amount;
        held.by.insert(holder.clone(), own + amount);
        Ok(Share { pool: self.clone(), holder: holder.clone(), amount })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.pool.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.total -= self.amount;
        if let Some(own) = held.by.get_mut(&self.holder) {
            *own -= self.amount;
            if *own == 0 {
                held.by.remove(&self.holder);
            }
        }
        self.pool.0.returned.notify_waiters();
    }
}

/// Returns the network that counts as one address: an IPv4 address, or the /64 network of an IPv6 address, which belongs to one
/// host.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::{Exhausted, Holder, Pool, network};

    fn holder(address: &str) -> Holder {
        Holder::Address(address.parse().unwrap())
    }

    #[test]
    fn one_holder_cannot_take_all() {
        let pool = Pool::new(5, 3);
        let (one, other) = (holder("192.0.2.1"), holder("192.0.2.2"));
        let first = pool.take(&one, 2).unwrap();
        assert_eq!(pool.take(&one, 2).unwrap_err(), Exhausted::Share(3));
        let _second = pool.take(&other, 3).unwrap();
        assert_eq!(pool.take(&one, 1).unwrap_err(), Exhausted::Total);
        drop(first);
        let _third = pool.take(&one, 2).unwrap();
        assert_eq!(pool.take(&holder("192.0.2.3"), 1).unwrap_err(), Exhausted::Total);
    }

    #[tokio::test]
    async fn what_is_returned_goes_to_who_waits() {
        let (pool, one) = (Pool::new(2, 1), holder("192.0.2.1"));
        let first = pool.take(&one, 1).unwrap();
        let (short, wait) = (Duration::from_millis(1), Duration::from_mins(1));
        assert_eq!(pool.take_within(&one, 1, short).await.unwrap_err(), Exhausted::Share(1));
        let mut second = Box::pin(pool.take_within(&one, 1, wait));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await.unwrap();
    }

    #[test]
    fn a_host_has_one_share_for_all_its_addresses() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
