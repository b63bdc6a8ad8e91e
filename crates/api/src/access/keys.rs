//! The keys that are valid now.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use domain::access::{ApiKey, Digest, KeyId, KeyLimits, Scope, Visible};
use jiff::Timestamp;
use store::{KeyStore, StoreError, StoredKeys};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Caller;
use crate::settings::ApiKeys;

/// The interval at which the store is read. A revoked key stops working within twice that.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// The keys that are valid now. They are cheap to clone.
#[derive(Clone)]
pub struct Keys {
    set: Arc<KeySet>,
}

struct KeySet {
    environment: Vec<ActiveKey>,
    stored: RwLock<Stored>,
}

#[derive(Default)]
struct Stored {
    valid: BTreeMap<KeyId, ActiveKey>,
    /// The caller without a key. Once the store has had a key, this caller no longer exists, even if the key is deleted.
    anyone: Option<Caller>,
}

#[derive(Clone)]
struct ActiveKey {
    digest: Digest,
    caller: Caller,
    expires: Option<Timestamp>,
}

impl Keys {
    /// Reads the keys. [`Keys::watch`] keeps them current. `host`: the address on which the server listens.
    pub fn open(environment: &ApiKeys, store: &KeyStore, host: IpAddr) -> Result<Keys, StoreError> {
        let environment: Vec<ActiveKey> = environment.digests().map(of_environment).collect();
        let anyone = (environment.is_empty() && host.is_loopback()).then(Caller::anyone);
        let stored = RwLock::new(Stored { valid: BTreeMap::new(), anyone });
        let keys = Keys { set: Arc::new(KeySet { environment, stored }) };
        keys.learn(store.all()?);
        Ok(keys)
    }

    /// Returns true if no key is valid. That alone admits no one: see [`Keys::anyone`].
    pub fn is_empty(&self) -> bool {
        self.set.environment.is_empty() && self.stored().valid.is_empty()
    }

    /// Returns the caller without a key, if there may be one: on loopback, as long as there has never been a key.
    pub fn anyone(&self) -> Option<Caller> {
        self.stored().anyone.clone()
    }

    /// Returns the caller that has this key. It compares all keys, each in constant time.
    pub fn find(&self, key: &str) -> Option<Caller> {
        let (digest, now) = (Digest::of(key), Timestamp::now());
        let stored = self.stored();
        let all = self.set.environment.iter().chain(stored.valid.values());
        let found = all.fold(None, |found, known| if known.digest.is(&digest) { Some(known) } else { found })?;
        // An expired key is refused even while the store cannot be read.
        found.expires.is_none_or(|expires| now < expires).then(|| found.caller.clone())
    }

    /// Watches for keys that were made, were revoked or have expired, until the server ends. It blocks, so give it its
    /// own thread.
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
                        expiry = keys.keys.iter().filter(|key| key.is_valid(now)).filter_map(|key| key.expires).min();
                        self.learn(keys);
                    }
                    Err(error) => warn!(%error, "could not read the API keys; the known ones stay valid"),
                },
                Err(error) => warn!(%error, "could not check the API keys; the known ones stay valid"),
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Replaces the keys with those of the store, and cancels the callers whose keys are no longer valid.
    fn learn(&self, keys: StoredKeys) {
        let now = Timestamp::now();
        let mut stored = self.set.stored.write().unwrap_or_else(PoisonError::into_inner);
        if !keys.is_empty()
            && let Some(anyone) = stored.anyone.take()
        {
            info!("there are API keys now; requests without one are refused");
            anyone.revoked.cancel();
        }
        let mut before = std::mem::take(&mut stored.valid);
        for key in keys.keys.into_iter().filter(|key| key.is_valid(now)) {
            let known = before.remove(&key.id).unwrap_or_else(|| {
                info!(key.id = %key.id, key.scope = key.scope.as_str(), "an API key is valid");
                of_store(&key)
            });
            stored.valid.insert(key.id, known);
        }
        for (id, known) in before {
            info!(key.id = %id, "an API key is no longer valid");
            known.caller.revoked.cancel();
        }
    }

    fn stored(&self) -> RwLockReadGuard<'_, Stored> {
        self.set.stored.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_environment(digest: Digest) -> ActiveKey {
    let caller = Caller {
        key: Some(KeyId::of_environment(digest.as_bytes())),
        scope: Scope::Admin,
        visible: Visible::All,
        limits: KeyLimits::default(),
        revoked: CancellationToken::new(),
    };
    ActiveKey { digest, caller, expires: None }
}

fn of_store(key: &ApiKey) -> ActiveKey {
    let caller = Caller {
        key: Some(key.id.clone()),
        scope: key.scope,
        visible: key.sessions.clone().map_or(Visible::All, Visible::Prefix),
        limits: key.limits.clone(),
        revoked: CancellationToken::new(),
    };
    ActiveKey { digest: key.digest, caller, expires: key.expires }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use secrecy::ExposeSecret as _;

    use super::Keys;
    use crate::settings::ApiKeys;
    use domain::access::{ApiKey, KeyLimits, KeySecret, Scope};
    use store::{KeyStore, StoredKeys};

    fn key(secret: &KeySecret, expires: Option<Timestamp>) -> ApiKey {
        ApiKey {
            id: secret.id.clone(),
            name: None,
            digest: secret.digest(),
            scope: Scope::Read,
            sessions: None,
            limits: KeyLimits::default(),
            created: Timestamp::now(),
            expires,
            revoked: None,
        }
    }

    #[test]
    fn taking_back_the_last_key_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let [loopback, anywhere] = ["127.0.0.1", "0.0.0.0"].map(|host| host.parse().unwrap());
        let none = ApiKeys::default();
        let outside = Keys::open(&none, &store, anywhere).unwrap();
        assert!(outside.is_empty() && outside.anyone().is_none(), "there is no anonymous caller beyond loopback");
        let of_environment = "e".repeat(32).parse().unwrap();
        assert!(Keys::open(&of_environment, &store, loopback).unwrap().anyone().is_none());

        let keys = Keys::open(&none, &store, loopback).unwrap();
        let anyone = keys.anyone().expect("on loopback, before the first key");
        let secret = KeySecret::generate();
        store.insert(&key(&secret, None)).unwrap();
        keys.learn(store.all().unwrap());
        assert!(anyone.revoked.is_cancelled() && keys.anyone().is_none());
        let caller = keys.find(secret.text().expose_secret()).unwrap();

        assert!(store.revoke(&secret.id, Timestamp::now()).unwrap());
        keys.learn(store.all().unwrap());
        assert!(caller.revoked.is_cancelled() && keys.find(secret.text().expose_secret()).is_none());
        assert!(keys.is_empty() && keys.anyone().is_none(), "the last key was removed");
        assert!(Keys::open(&none, &store, loopback).unwrap().anyone().is_none(), "nor after a restart");
    }

    #[test]
    fn a_store_whose_only_key_is_damaged_lets_nobody_in() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let keys = Keys::open(&ApiKeys::default(), &store, "127.0.0.1".parse().unwrap()).unwrap();
        assert!(keys.anyone().is_some());
        keys.learn(StoredKeys { keys: Vec::new(), damaged: vec!["API key 0123: no JSON".to_owned()] });
        assert!(keys.is_empty() && keys.anyone().is_none());
    }

    #[test]
    fn an_expired_key_is_of_no_use_before_anyone_has_looked() {
        let directory = tempfile::tempdir().unwrap();
        let store = KeyStore::open(directory.path()).unwrap();
        let secret = KeySecret::generate();
        store.insert(&key(&secret, Some(Timestamp::now() + SignedDuration::from_hours(1)))).unwrap();
        let keys = Keys::open(&ApiKeys::default(), &store, "127.0.0.1".parse().unwrap()).unwrap();
        assert!(keys.find(secret.text().expose_secret()).is_some());
        for known in keys.set.stored.write().unwrap().valid.values_mut() {
            known.expires = Some(Timestamp::now());
        }
        assert!(keys.find(secret.text().expose_secret()).is_none());
    }
}
