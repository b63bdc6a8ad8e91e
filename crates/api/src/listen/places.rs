//! The places of connections: the share of each caller, and the connection that is closed for a new one.
//!
//! A connection is a stranger until a request on it has shown a valid key or ticket. If keys are required, a stranger is closed
//! after [`STRANGER_TIMEOUT`]. The strangers of an address are limited; a further one closes the oldest. A connection that has
//! shown a key counts against that key. Connections of trusted proxies carry the requests of many callers: they are not strangers,
//! and they have their own share.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::{Exhausted, Holder, Pool, Share, network};

/// The maximum number of connections, subscribers included. Further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// The maximum number of connections of one key, of one address if no keys are needed, and of all trusted proxies.
const MAX_ADMITTED: usize = 4_096;
/// The maximum number of connections of one address that have shown no key. A thousand simultaneous subscribers are normal.
const MAX_STRANGERS: usize = 1_024;
/// The time in which a connection has to show a key, if keys are required.
pub(super) const STRANGER_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Places {
    all: Arc<Semaphore>,
    admitted: Pool,
    strangers: Mutex<HashMap<IpAddr, VecDeque<Arc<Stranger>>>>,
    next: AtomicU64,
}

struct Stranger {
    id: u64,
    /// Cancelled when the connection must be closed for another one.
    displaced: CancellationToken,
}

/// The place of one connection, held until all clones are dropped. An extension of its requests.
#[derive(Clone)]
pub(crate) struct ConnectionPlace(Arc<Place>);

struct Place {
    places: Arc<Places>,
    address: IpAddr,
    stranger: Arc<Stranger>,
    held: Mutex<Option<Share>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Self::bounded(MAX_CONNECTIONS, MAX_ADMITTED)
    }

    pub(super) fn bounded(all: usize, admitted: usize) -> Arc<Self> {
        Arc::new(Places {
            all: Arc::new(Semaphore::new(all)),
            admitted: Pool::new(all, admitted),
            strangers: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Waits for room for a connection. If there is none, closes the oldest stranger of the address with the most strangers.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() {
            return Some(permit);
        }
        if let Some(oldest) =
            self.strangers().values().max_by_key(|strangers| strangers.len()).and_then(VecDeque::front)
        {
            oldest.displaced.cancel();
        }
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Gives a connection its place. `None`: it belongs to a trusted proxy, and the proxies' share is used up.
    pub(super) fn enter(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        address: IpAddr,
        is_proxy: bool,
    ) -> Option<ConnectionPlace> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let stranger = Arc::new(Stranger { id, displaced: CancellationToken::new() });
        let held = if is_proxy {
            Some(self.admitted.take(&Holder::Proxies, 1).ok()?)
        } else {
            let mut all = self.strangers();
            let strangers = all.entry(network(address)).or_default();
            if strangers.len() >= MAX_STRANGERS
                && let Some(oldest) = strangers.pop_front()
            {
                oldest.displaced.cancel();
            }
            strangers.push_back(Arc::clone(&stranger));
            None
        };
        let place = Place {
            places: Arc::clone(self),
            address: network(address),
            stranger,
            held: Mutex::new(held),
            _permit: permit,
        };
        Some(ConnectionPlace(Arc::new(place)))
    }

    fn forget(&self, address: IpAddr, id: u64) {
        let mut all = self.strangers();
        if let Some(strangers) = all.get_mut(&address) {
            strangers.retain(|stranger| stranger.id != id);
            if strangers.is_empty() {
                all.remove(&address);
            }
        }
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<IpAddr, VecDeque<Arc<Stranger>>>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPlace {
    /// Records that a request on this connection was admitted. The first one decides which caller the connection counts for.
    pub(crate) fn admitted(&self, holder: &Holder) -> Result<(), Exhausted> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(self.0.places.admitted.take(holder, 1)?);
            self.0.places.forget(self.0.address, self.0.stranger.id);
        }
        Ok(())
    }

    pub(super) fn is_stranger(&self) -> bool {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Resolves when the connection must be closed for another one.
    pub(super) async fn displaced(&self) {
        self.0.stranger.displaced.cancelled().await;
        // It may have shown a key in the meantime.
        if !self.is_stranger() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.forget(self.address, self.stranger.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use futures::FutureExt as _;

    use super::{ConnectionPlace, MAX_STRANGERS, Places};
    use crate::access::Holder;

    async fn enter(places: &Arc<Places>, address: &str) -> ConnectionPlace {
        let permit = places.room().await.unwrap();
        places.enter(permit, address.parse().unwrap(), false).unwrap()
    }

    fn is_displaced(place: &ConnectionPlace) -> bool {
        place.displaced().now_or_never().is_some()
    }

    #[tokio::test]
    async fn the_oldest_stranger_of_an_address_goes_for_the_next() {
        let places = Places::new();
        let other = enter(&places, "192.0.2.2").await;
        let first = enter(&places, "192.0.2.1").await;
        let known = enter(&places, "192.0.2.1").await;
        known.admitted(&Holder::Key("k".parse().unwrap())).unwrap();
        let mut more = Vec::new();
        for _ in 1..MAX_STRANGERS {
            more.push(enter(&places, "192.0.2.1").await);
        }
        assert!(!is_displaced(&first));
        more.push(enter(&places, "192.0.2.1").await);
        assert!(is_displaced(&first) && !is_displaced(&known) && !is_displaced(&other));
        drop((first, more));
        assert_eq!(places.strangers().len(), 1, "an address without connections is remembered");
    }

    #[tokio::test]
    async fn where_all_places_are_taken_a_stranger_goes_and_who_has_shown_a_key_stays() {
        let places = Places::bounded(2, 2);
        let known = enter(&places, "192.0.2.1").await;
        known.admitted(&Holder::Key("k".parse().unwrap())).unwrap();
        let stranger = enter(&places, "192.0.2.2").await;
        let mut room = Box::pin(places.room());
        assert!(room.as_mut().now_or_never().is_none());
        assert!(is_displaced(&stranger) && !is_displaced(&known));
        drop(stranger);
        assert!(room.await.is_some());
    }

    #[tokio::test]
    async fn a_key_has_a_share_of_all_connections() {
        let places = Places::bounded(8, 2);
        let key = Holder::Key("k".parse().unwrap());
        let mut mine = Vec::new();
        for _ in 0..2 {
            let place = enter(&places, "192.0.2.1").await;
            // Each request repeats the call.
            place.admitted(&key).and_then(|()| place.admitted(&key)).unwrap();
            mine.push(place);
        }
        let third = enter(&places, "192.0.2.1").await;
        third.admitted(&key).unwrap_err();
        third.admitted(&Holder::Key("other".parse().unwrap())).unwrap();
        mine.pop();
        enter(&places, "192.0.2.9").await.admitted(&key).unwrap();
    }

    #[tokio::test]
    async fn proxies_have_a_share_together() {
        let places = Places::bounded(8, 1);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let place = places.enter(places.room().await.unwrap(), address, true).unwrap();
        assert!(!place.is_stranger());
        assert!(places.enter(places.room().await.unwrap(), address, true).is_none());
    }
}
