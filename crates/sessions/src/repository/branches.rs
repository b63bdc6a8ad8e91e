//! The branches in use: one session at a time works on a branch, the others wait in line.

use std::sync::Arc;

use dashmap::DashMap;
use domain::repository::Checkout;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The repository, in lower case, and the branch.
type Name = (String, String);

#[derive(Clone, Default)]
pub(super) struct Branches(Arc<DashMap<Name, Arc<Mutex<()>>>>);

/// The right to work on a branch. Released when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    _held: OwnedMutexGuard<()>,
}

impl Branches {
    pub(super) async fn lease(&self, checkout: &Checkout) -> Lease {
        Lease { _held: self.of(checkout).lock_owned().await }
    }

    pub(super) fn try_lease(&self, checkout: &Checkout) -> Option<Lease> {
        self.of(checkout).try_lock_owned().ok().map(|held| Lease { _held: held })
    }

    fn of(&self, checkout: &Checkout) -> Arc<Mutex<()>> {
        // Removes the branches that no session holds or waits for.
        self.0.retain(|_, branch| Arc::strong_count(branch) > 1);
        let key = (checkout.name.as_str().to_ascii_lowercase(), checkout.branch.clone());
        Arc::clone(&self.0.entry(key).or_default())
    }
}
