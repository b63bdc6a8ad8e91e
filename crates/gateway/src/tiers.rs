//! The keys that get answers of another service tier than the standard one.
//!
//! A request without `service_tier` leaves the tier to the API: an account with Priority Tier may get its answer there, at another price.
//! No request can tell in advance, so the answers do.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::access::KeyId;

/// The number of keys bounds it. `None`: tasks without a key.
#[derive(Default)]
pub(super) struct Tiers(Mutex<HashSet<Option<KeyId>>>);

impl Tiers {
    /// Remembers that an answer for this key was not of the standard tier.
    pub(super) fn add(&self, key: Option<&KeyId>) {
        self.keys().insert(key.cloned());
    }

    /// Returns true if the next answer for this key may cost the price of another tier.
    pub(super) fn has(&self, key: Option<&KeyId>) -> bool {
        self.keys().contains(&key.cloned())
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<Option<KeyId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
