//! The part of something bounded that one caller may hold, so that one cannot take all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use domain::access::KeyId;

use super::Caller;

/// Who holds a share: a key, or an address that has shown none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Key(KeyId),
    /// See [`network`].
    Address(IpAddr),
}

/// Something that there is only so much of.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Bounded>);

#[derive(Debug)]
struct Bounded {
    total: usize,
    /// The most that one holder may have.
    share: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by: HashMap<Holder, usize>,
}

/// What a holder took of a pool. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Pool,
    holder: Holder,
    amount: usize,
}

/// Why a holder gets no more of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// The holder has its share, which is this.
    Share(usize),
    /// All of it is taken.
    Total,
}

impl Holder {
    pub(crate) fn of(caller: &Caller, peer: IpAddr) -> Self {
        caller.key.clone().map_or_else(|| Holder::Address(network(peer)), Holder::Key)
    }
}

impl Pool {
    pub(crate) fn new(total: usize, share: usize) -> Self {
        Pool(Arc::new(Bounded { total, share, held: Mutex::default() }))
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
    }
}

/// The addresses that count as one: an IPv4 address, and the /64 network of an IPv6 address, which one host has whole.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_host_has_one_share_for_all_its_addresses() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
