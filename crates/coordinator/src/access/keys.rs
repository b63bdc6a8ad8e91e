//! The keys that are valid now.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ApiKey, Caller, Digest, KeyId, KeyLimits, Scope, Visible};
use crate::config::ApiKeys;
use crate::store::{KeyStore, StoreError};

/// How often the store is looked at. A key that was revoked is of no use for at most twice that.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

struct Shared {
    environment: Vec<Known>,
    stored: RwLock<BTreeMap<KeyId, Known>>,
}

#[derive(Clone)]
struct Known {
    digest: Digest,
    caller: Caller,
}

impl Keys {
    /// Reads what there is. [`Keys::watch`] keeps it true.
    pub fn open(environment: &ApiKeys, store: &KeyStore) -> Result<Keys, StoreError> {
        let environment = environment.digests().map(of_environment).collect();
        let keys = Keys { shared: Arc::new(Shared { environment, stored: RwLock::default() }) };
        keys.learn(store.all()?);
        Ok(keys)
    }

    /// Everyone is let in.
    pub fn is_empty(&self) -> bool {
        self.shared.environment.is_empty() && self.stored().is_empty()
    }

    /// Who has this key. Looks at all of them, each in constant time.
    pub fn find(&self, key: &str) -> Option<Caller> {
        let digest = Digest::of(key);
        let stored = self.stored();
        let all = self.shared.environment.iter().chain(stored.values());
        all.fold(None, |found, known| if known.digest.is(&digest) { Some(known.caller.clone()) } else { found })
    }

    /// Looks for keys that were made, revoked or have expired, until the server ends. Blocks: it is for a thread of its own.
    pub fn watch(&self, store: &KeyStore, shutdown: &CancellationToken) {
        let mut version = None;
        let mut expiry = None;
        while !shutdown.is_cancelled() {
            let now = Timestamp::now();
            match store.version() {
                Ok(found) if Some(found) == version && expiry.is_none_or(|expiry| now < expiry) => {}
                Ok(found) => match store.all() {
                    Ok(keys) => {
                        version = Some(found);
                        expiry = keys.iter().filter(|key| key.is_valid(now)).filter_map(|key| key.expires).min();
                        self.learn(keys);
                    }
                    Err(error) => warn!(%error, "could not read the API keys; those known so far hold"),
                },
                Err(error) => warn!(%error, "could not look at the API keys; those known so far hold"),
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Takes in what the store has now. Whoever holds a key that is gone is told.
    fn learn(&self, keys: Vec<ApiKey>) {
        let now = Timestamp::now();
        let mut stored = self.shared.stored.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *stored);
        for key in keys.into_iter().filter(|key| key.is_valid(now)) {
            let known = before.remove(&key.id).unwrap_or_else(|| {
                info!(key.id = %key.id, key.scope = key.scope.as_str(), "an API key is valid");
                of_store(&key)
            });
            stored.insert(key.id, known);
        }
        for (id, known) in before {
            info!(key.id = %id, "an API key is not valid any more");
            known.caller.revoked.cancel();
        }
    }

    fn stored(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<KeyId, Known>> {
        self.shared.stored.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_environment(digest: Digest) -> Known {
    let caller = Caller {
        key: Some(KeyId::of_environment(digest.as_bytes())),
        scope: Scope::Admin,
        visible: Visible::All,
        limits: KeyLimits::default(),
        revoked: CancellationToken::new(),
    };
    Known { digest, caller }
}

fn of_store(key: &ApiKey) -> Known {
    let caller = Caller {
        key: Some(key.id.clone()),
        scope: key.scope,
        visible: key.sessions.clone().map_or(Visible::All, Visible::Prefix),
        limits: key.limits.clone(),
        revoked: CancellationToken::new(),
    };
    Known { digest: key.digest, caller }
}
