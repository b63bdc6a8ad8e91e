//! Mirrors: a bare repository on the coordinator's disk for each repository of a task. The coordinator updates it and
//! copies it into sandboxes, so that the next clone of a large repository is fast.
//!
//! A mirror is a cache: where it fails, git clones from the forge, so no error here fails a task.

mod copy;
mod error;
mod git;
mod place;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::RwLock;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

pub use self::copy::MirrorCopy;
pub use self::error::MirrorError;
pub use self::git::Git;
use self::git::Remote;
use self::place::Place;
use domain::repository::RepositoryName;
use forge::GitHub;

/// Enough for some gigabytes over a slow line. The callers have limits of their own.
const FETCH_TIMEOUT: Duration = Duration::from_mins(20);
/// Each fetch with changes adds a pack, and git searches all packs for every object.
const MAX_PACKS: usize = 8;
/// The number of repositories that are remembered as too large, so that they are not fetched again.
const MAX_OVERSIZED: usize = 1000;

#[derive(Clone, Debug)]
pub struct MirrorSettings {
    /// `mirrors` in DATA_DIR.
    pub directory: PathBuf,
    /// REPOSITORY_CACHE: the size limit of all mirrors together.
    pub max_bytes: u64,
}

/// All mirrors. Cheap to clone.
#[derive(Clone)]
pub struct Mirrors {
    shared: Arc<MirrorStore>,
}

struct MirrorStore {
    git: Git,
    github: GitHub,
    settings: MirrorSettings,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// The mirrors in use, by directory.
    used: Mutex<HashMap<PathBuf, Weak<UsedMirror>>>,
    oversized: Mutex<HashSet<PathBuf>>,
}

/// A mirror in use.
#[derive(Default)]
struct UsedMirror {
    /// Locked for writing while the mirror changes, for reading while it is copied.
    content: Arc<RwLock<()>>,
    fetch: Mutex<Option<Fetch>>,
}

type Fetch = Shared<BoxFuture<'static, Result<(), MirrorError>>>;

impl Mirrors {
    /// Removes the unfinished mirrors of the previous coordinator.
    pub fn new(
        git: Git,
        github: GitHub,
        settings: MirrorSettings,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) -> Mirrors {
        place::remove_incomplete(&settings.directory);
        let (used, oversized) = Default::default();
        Mirrors { shared: Arc::new(MirrorStore { git, github, settings, tracker, shutdown, used, oversized }) }
    }

    /// Updates or creates the mirror of a repository and returns it for copying. Concurrent callers share one fetch.
    /// `known_bytes`: the repository's size as the forge reports it.
    pub async fn update(&self, name: &RepositoryName, known_bytes: u64) -> Result<MirrorCopy, MirrorError> {
        let common = &self.shared;
        let place = Place::of(&common.settings.directory, common.github.url(), name);
        if known_bytes > common.settings.max_bytes || lock(&common.oversized).contains(place.directory()) {
            return Err(MirrorError::TooLarge);
        }
        let entry = common.entry(&place);
        common.join(&entry, &place, name).await?;
        let content = Arc::clone(&entry.content).read_owned().await;
        // Another, larger mirror may have replaced it since the fetch.
        let bytes = place.size().await?;
        if !place.exists() {
            return Err(MirrorError::TooLarge);
        }
        Ok(MirrorCopy::new(place, bytes, entry, content))
    }

    /// Removes a mirror from which a clone failed.
    pub async fn discard(&self, name: &RepositoryName) -> Result<(), MirrorError> {
        let place = Place::of(&self.shared.settings.directory, self.shared.github.url(), name);
        let entry = self.shared.entry(&place);
        let _alone = entry.content.write().await;
        place.remove().await
    }
}

impl MirrorStore {
    fn entry(&self, place: &Place) -> Arc<UsedMirror> {
        let mut used = lock(&self.used);
        used.retain(|_, entry| entry.strong_count() > 0);
        if let Some(entry) = used.get(place.directory()).and_then(Weak::upgrade) {
            return entry;
        }
        let entry = Arc::<UsedMirror>::default();
        used.insert(place.directory().to_owned(), Arc::downgrade(&entry));
        entry
    }

    /// The fetch that is under way, or a new one. It continues without callers: the next caller needs it.
    fn join(self: &Arc<Self>, entry: &Arc<UsedMirror>, place: &Place, name: &RepositoryName) -> Fetch {
        let mut fetch = lock(&entry.fetch);
        if let Some(fetch) = &*fetch {
            return fetch.clone();
        }
        let (common, own, place, name) = (Arc::clone(self), Arc::clone(entry), place.clone(), name.clone());
        let task = self.tracker.spawn(async move {
            let alone = Arc::clone(&own.content).write_owned().await;
            let fetched = common.shutdown.run_until_cancelled(timeout(FETCH_TIMEOUT, common.fetch(&place, &name)));
            let outcome = match fetched.await {
                Some(outcome) => outcome.unwrap_or(Err(MirrorError::Timeout(FETCH_TIMEOUT.as_secs()))),
                None => Err(MirrorError::Stopped),
            };
            *lock(&own.fetch) = None;
            drop(alone);
            outcome
        });
        let started: Fetch = task.map(|ended| ended.unwrap_or(Err(MirrorError::Stopped))).boxed().shared();
        *fetch = Some(started.clone());
        started
    }

    /// This call has exclusive access to the mirror.
    async fn fetch(&self, place: &Place, name: &RepositoryName) -> Result<(), MirrorError> {
        let begun = Instant::now();
        let token = self.github.token(name).await.map_err(|error| MirrorError::Token(Arc::new(error)))?;
        let remote = Remote::new(self.github.url(), name, &token);
        let kept = if place.exists() { self.fetch_into(place, &remote).await } else { Err(MirrorError::Missing) };
        let there = match kept {
            Ok(()) => Ok(()),
            Err(MirrorError::TooLarge) => Err(MirrorError::TooLarge),
            Err(error) => {
                debug!(repository = %name, %error, "rebuilding the mirror");
                self.replace(place, &remote).await
            }
        };
        if let Err(MirrorError::TooLarge) = there {
            self.give_up(place).await?;
        }
        there?;
        place.mark_used().await?;
        self.make_room(place).await?;
        info!(repository = %name, duration_ms = begun.elapsed().as_millis(), "a mirror is up to date");
        Ok(())
    }

    /// Creates another mirror. The old one stays until then, because the forge may be unreachable.
    async fn replace(&self, place: &Place, remote: &Remote) -> Result<(), MirrorError> {
        let new = place.beside();
        new.remove().await?;
        let made = async {
            new.create().await?;
            self.git.init(new.directory()).await?;
            self.fetch_into(&new, remote).await
        };
        if let Err(error) = made.await {
            new.remove().await?;
            return Err(error);
        }
        place.remove().await?;
        new.rename_to(place).await
    }

    /// Fetches all branches and tags of the forge.
    async fn fetch_into(&self, place: &Place, remote: &Remote) -> Result<(), MirrorError> {
        // Overwritten before each use: git reads no file of the disk that was not written just now.
        place.write_config().await?;
        let directory = place.directory();
        tokio::select! {
            fetched = self.git.fetch(directory, remote) => fetched?,
            () = place.grows_beyond(self.settings.max_bytes) => return Err(MirrorError::TooLarge),
        }
        if place.packs().await? > MAX_PACKS {
            self.git.repack(directory).await?;
        }
        self.git.pack_refs(directory).await
    }

    /// Removes mirrors, the least recently used first, until the rest fits. A mirror in use stays.
    async fn make_room(&self, newest: &Place) -> Result<(), MirrorError> {
        if newest.size().await? > self.settings.max_bytes {
            self.give_up(newest).await?;
            return Err(MirrorError::TooLarge);
        }
        let mut all = place::all(&self.settings.directory).await?;
        all.sort_by_key(|mirror| mirror.used);
        let mut total: u64 = all.iter().map(|mirror| mirror.bytes).sum();
        for mirror in all {
            if total <= self.settings.max_bytes {
                return Ok(());
            }
            if mirror.place.directory() == newest.directory() {
                continue;
            }
            let entry = self.entry(&mirror.place);
            if let Ok(_alone) = entry.content.try_write() {
                info!(directory = %mirror.place.directory().display(), bytes = mirror.bytes, "evicting a mirror");
                mirror.place.remove().await?;
                total -= mirror.bytes;
            }
        }
        Ok(())
    }

    /// Removes a mirror that is too large by itself, and remembers that it is.
    async fn give_up(&self, place: &Place) -> Result<(), MirrorError> {
        {
            let mut oversized = lock(&self.oversized);
            if oversized.len() == MAX_OVERSIZED {
                oversized.clear();
            }
            oversized.insert(place.directory().to_owned());
        }
        place.remove().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
