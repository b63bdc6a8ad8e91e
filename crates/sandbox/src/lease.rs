//! The lease of an installation on an engine elsewhere, which servers on other machines use too. A lock on this machine does not
//! reach them.
//!
//! The lease is an empty volume on the engine. Creating a volume keeps an existing one of that name with its labels, so if several
//! servers create it, one of them finds its own label. Labels never change, so the holder renews the lease by creating the volume
//! of the next generation and removing the previous one. A lease whose generation does not change for a minute has lost its holder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, EngineError, Labels};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Instance;

const LEASE: &str = "claude-runner.lease";
const HOLDER: &str = "claude-runner.holder";

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
    Timing { renewal: Duration::from_secs(15), expiry: Duration::from_mins(1), poll: Duration::from_secs(5) };

#[derive(Debug, thiserror::Error)]
#[error(
    "another server of this installation uses this engine, and this DATA_DIR is a copy of its own: stop that server first; \
     or, for a second server with the same records, make a new installation of a backup with `claude-runner restore BACKUP \
     --as-new` in a DATA_DIR of its own"
)]
pub struct LeaseHeld;

/// A lease that this process holds.
pub struct EngineLease {
    engine: Arc<dyn Engine>,
    instance: Instance,
    holder: String,
    generation: u64,
    timing: Timing,
}

/// A generation of the lease on the engine.
struct Found {
    generation: u64,
    holder: String,
}

impl EngineLease {
    /// Names the holder after the machine's boot and the directory itself. After a restart on the same directory the holder is the
    /// same, and the store's lock excludes two servers on it. A copy of the directory is another holder.
    pub fn holder(data_dir: &Path) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let place = fs::metadata(data_dir).map(|directory| (directory.dev(), directory.ino())).unwrap_or_default();
        let digest = Sha256::digest(format!("{boot}{place:?}"));
        digest.iter().take(8).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
    }

    /// Takes the lease. Waits for an engine that does not answer, and for the expiry of a lease without a holder.
    pub async fn acquire(engine: Arc<dyn Engine>, instance: Instance, holder: String) -> Result<Self, LeaseHeld> {
        EngineLease { engine, instance, holder, generation: 0, timing: TIMING }.take().await
    }

    async fn take(mut self) -> Result<Self, LeaseHeld> {
        let poll = self.timing.poll;
        // The first foreign generation that was seen, and the time at which it was seen.
        let mut foreign: Option<(u64, Instant)> = None;
        loop {
            let pause = match self.found().await.map(|mut found| found.pop()) {
                Err(error) => {
                    warn!(%error, "the engine does not answer; the start waits for it, because another server may use it");
                    poll
                }
                Ok(Some(found)) if found.holder != self.holder => match foreign {
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
                        info!("another server held this engine; the start waits until it is certain that it ended");
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

    /// Creates the next generation. Returns false if it belongs to another holder.
    async fn renew(&mut self) -> Result<bool, EngineError> {
        let next = self.generation + 1;
        let labels = Labels::from([
            (LEASE.to_owned(), self.instance.as_str().to_owned()),
            (HOLDER.to_owned(), self.holder.clone()),
        ]);
        self.engine.create_volume(&self.name(next), &labels).await?;
        let mut found = self.found().await?;
        if !found.pop().is_some_and(|newest| newest.generation == next && newest.holder == self.holder) {
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
            Some(Found { generation, holder: volume.labels.get(HOLDER).cloned().unwrap_or_default() })
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
