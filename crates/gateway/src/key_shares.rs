//! The share that each API key has of something of which there is a bounded number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::access::KeyId;
use tokio::sync::Semaphore;

/// One semaphore for each key, over all of its sandboxes.
pub(super) struct KeyShares {
    /// The permits of one key.
    permits: usize,
    /// The shares of the keys that hold a permit or wait for one. `None`: tasks without a key.
    shares: Mutex<HashMap<Option<KeyId>, Weak<Semaphore>>>,
}

impl KeyShares {
    pub(super) fn new(permits: usize) -> Self {
        KeyShares { permits, shares: Mutex::default() }
    }

    pub(super) fn of(&self, key: Option<KeyId>) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.permits));
        shares.insert(key, Arc::downgrade(&share));
        share
    }
}
