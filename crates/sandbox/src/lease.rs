//! The lease of an installation on an engine. It excludes the servers that a lock on this machine does not reach: those on other
//! machines, and those in containers.
//!
//! The lease is an empty volume on the engine. Creating a volume keeps an existing one of that name with its labels, so if several
//! servers create it, one of them finds its own label. Labels never change, so the holder renews the lease by creating the volume
//! of the next generation and removing the previous one. A lease whose generation does not change for a minute has lost its holder.

mod holder;

use std::ops::Deref;
use std::time::Duration;

use engine::{Engine, EngineError, Labels};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::Instance;
pub use holder::{EnginePlace, LeaseHolder};

const LEASE: &str = "claude-runner.lease";
const HOLDER: &str = "claude-runner.holder";
const BOOT: &str = "claude-runner.boot";
const RENEWAL: &str = "claude-runner.renewal";

/// The times of a lease. All servers of an installation must use the same.
#[derive(Clone, Copy, Debug)]
struct Timing {
    renewal: Duration,
    /// The age at which a lease without renewals may be taken: the holder missed three renewals.
    expiry: Duration,
    /// The interval at which another holder's lease, or an engine that does not answer, is checked again.
    poll: Duration,
}

const TIMING: Timing =
    Timing { renewal: Duration::from_secs(15), expiry: Duration::from_mins(1), poll: Duration::from_secs(1) };

#[derive(Debug, thiserror::Error)]
#[error(
    "another server of this installation uses this engine, and this DATA_DIR is a copy of its own: stop that server first; \
     or, for a second server with the same records, make a new installation of a backup with `claude-runner restore BACKUP \
     --as-new` in a DATA_DIR of its own"
)]
pub struct LeaseHeld;

/// A lease that this process holds.
pub struct EngineLease<E> {
    engine: E,
    instance: Instance,
    holder: LeaseHolder,
    generation: u64,
    /// The random name of the renewal that is not confirmed yet. It distinguishes this process from one with the same
    /// holder, such as the clone of a running machine.
    renewal: Option<String>,
    timing: Timing,
}

/// A generation of the lease on the engine.
struct Found {
    generation: u64,
    labels: Labels,
}

impl Found {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn was_left_by(&self, holder: &LeaseHolder) -> bool {
        holder.left(self.label(HOLDER), self.label(BOOT))
    }
}

impl<E: Deref<Target: Engine>> EngineLease<E> {
    fn new(engine: E, instance: Instance, holder: LeaseHolder) -> Self {
        EngineLease { engine, instance, holder, generation: 0, renewal: None, timing: TIMING }
    }

    /// True if another holder has the lease, or left it behind.
    pub async fn is_foreign(engine: E, instance: &Instance, holder: &LeaseHolder) -> Result<bool, EngineError> {
        let lease = Self::new(engine, instance.clone(), holder.clone());
        Ok(lease.found().await?.pop().is_some_and(|newest| !newest.was_left_by(holder)))
    }

    /// Takes the lease. Waits for an engine that does not answer, and for the expiry of a lease without a holder.
    pub async fn acquire(engine: E, instance: Instance, holder: LeaseHolder) -> Result<Self, LeaseHeld> {
        Self::new(engine, instance, holder).take().await
    }

    async fn take(mut self) -> Result<Self, LeaseHeld> {
        let poll = self.timing.poll;
        // The first foreign generation that was seen, and the time at which it was seen.
        let mut foreign: Option<(u64, Instant)> = None;
        let mut failed = false;
        loop {
            let pause = match self.found().await.map(|mut found| found.pop()) {
                Err(error) => {
                    if !failed {
                        warn!(%error, "the engine does not answer; nothing on it is used before, because another server may use it");
                    }
                    failed = true;
                    poll
                }
                Ok(Some(found)) if !found.was_left_by(&self.holder) => match foreign {
                    Some((generation, since))
                        if generation == found.generation && since.elapsed() >= self.timing.expiry =>
                    {
                        self.generation = found.generation;
                        foreign = None;
                        Duration::ZERO
                    }
                    Some((generation, _)) if generation != found.generation => return Err(LeaseHeld),
                    Some(_) => poll,
                    None => {
                        info!(
                            "another server held this engine; this one waits until it is certain that the other ended"
                        );
                        foreign = Some((found.generation, Instant::now()));
                        poll
                    }
                },
                Ok(found) => {
                    self.generation = found.map_or(0, |found| found.generation);
                    Duration::ZERO
                }
            };
            if !pause.is_zero() {
                sleep(pause).await;
                continue;
            }
            match self.renew().await {
                Ok(true) => return Ok(self),
                Ok(false) => {}
                Err(error) => {
                    warn!(%error, "could not take the lease of the engine");
                    sleep(poll).await;
                }
            }
        }
    }

    /// Renews the lease until `stop`, then releases it. A lease that was lost cancels `lost`.
    pub async fn keep(mut self, stop: CancellationToken, lost: CancellationToken) {
        while stop.run_until_cancelled(sleep(self.timing.renewal)).await.is_some() {
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => {
                    error!("another server of this installation took over the engine; this one ends");
                    lost.cancel();
                    return;
                }
                Err(error) => warn!(%error, "could not renew the lease of the engine"),
            }
        }
        let _ = self.engine.remove_volume(&self.name(self.generation)).await;
    }

    /// Creates the next generation. Returns false if it belongs to another process.
    async fn renew(&mut self) -> Result<bool, EngineError> {
        let next = self.generation + 1;
        // The id has the operating system's randomness. A clone of this machine would draw the same number from a generator in memory.
        let renewal = self.renewal.get_or_insert_with(|| Uuid::new_v4().simple().to_string()).clone();
        let labels = [
            (LEASE, self.instance.as_str()),
            (HOLDER, self.holder.id.as_str()),
            (BOOT, self.holder.boot.as_str()),
            (RENEWAL, renewal.as_str()),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.engine.create_volume(&self.name(next), &Labels::from(labels)).await?;
        let mut found = self.found().await?;
        let newest = found.pop();
        let is_own = newest.is_some_and(|newest| newest.generation == next && newest.label(RENEWAL) == renewal);
        self.renewal = None;
        if !is_own {
            return Ok(false);
        }
        self.generation = next;
        for earlier in found {
            self.engine.remove_volume(&self.name(earlier.generation)).await?;
        }
        Ok(true)
    }

    /// Returns all generations on the engine, the newest last.
    async fn found(&self) -> Result<Vec<Found>, EngineError> {
        let labels = Labels::from([(LEASE.to_owned(), self.instance.as_str().to_owned())]);
        let volumes = self.engine.list_volumes(&labels).await?;
        let found = volumes.into_iter().filter_map(|volume| {
            let generation = volume.name.rsplit('-').next()?.parse().ok()?;
            Some(Found { generation, labels: volume.labels })
        });
        let mut found: Vec<Found> = found.collect();
        found.sort_by_key(|found| found.generation);
        Ok(found)
    }

    fn name(&self, generation: u64) -> String {
        format!("claude-runner-lease-{}-{generation}", self.instance.as_str())
    }
}

#[cfg(test)]
mod tests;
