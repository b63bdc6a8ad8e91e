//! MODEL_PRICES_URL: a table of prices that is fetched daily, and kept in a file over restarts.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use observe::metrics::{Metrics, PriceFetch};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::Gateway;
use super::outbound::{Outbound, OutboundError};
use super::prices::{PriceChanges, TableError};
use super::resolve::Resolve;

/// The maximum size of a table. The public lists of all vendors have less.
const MAX_BYTES: usize = 4 << 20;
/// The age at which the table is fetched again.
const MAX_AGE: Duration = Duration::from_hours(24);
/// The wait after a failed fetch.
const RETRY: Duration = Duration::from_hours(1);

/// Fetches prices and gives them to the gateway.
pub struct PriceFeed {
    url: Url,
    /// The file that keeps the last good table.
    file: PathBuf,
    outbound: Outbound,
    gateway: Gateway,
    metrics: Metrics,
    /// The time of the last good fetch. Locked for a whole fetch, so that there is one at a time.
    fetched: tokio::sync::Mutex<Option<Timestamp>>,
    /// The last failure, which is logged once.
    failure: Mutex<Option<String>>,
}

/// The outcome of a fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    pub at: Timestamp,
    pub changes: PriceChanges,
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("MODEL_PRICES_URL cannot be used: {0}")]
    Url(OutboundError),
    #[error("the prices at MODEL_PRICES_URL could not be fetched: {0}")]
    Request(OutboundError),
    #[error("the prices at MODEL_PRICES_URL could not be fetched: the server answered {0}{hint}", hint = redirect_hint(*.0))]
    Status(u16),
    #[error("the table at MODEL_PRICES_URL was rejected: {0}; the earlier prices remain in use")]
    Table(TableError),
    #[error("the table at MODEL_PRICES_URL was rejected: it is not UTF-8 text; the earlier prices remain in use")]
    NotText,
}

/// The kept file.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// A table of another address is not used.
    url: String,
    fetched: Timestamp,
    since: BTreeMap<String, Timestamp>,
    table: Box<RawValue>,
}

impl PriceFeed {
    /// The name of the kept file in DATA_DIR.
    pub const FILE: &str = "model-prices.json";

    /// Makes the feed and gives the gateway the kept table. Call [`PriceFeed::run`] to fetch.
    pub fn open(
        url: Url,
        data_dir: &Path,
        resolver: Arc<dyn Resolve>,
        gateway: Gateway,
        metrics: Metrics,
    ) -> Result<PriceFeed, FeedError> {
        let outbound = Outbound::to_setting("MODEL_PRICES_URL", &url, resolver, gateway.network().clone())
            .map_err(FeedError::Url)?;
        let file = data_dir.join(Self::FILE);
        let kept = read(&file).filter(|kept| kept.url == url.as_str());
        let fetched = kept.and_then(|kept| {
            let taken = gateway.prices().set_fetched(kept.table.get(), kept.fetched, &kept.since);
            if let Err(error) = &taken {
                tracing::warn!(file = %file.display(), %error, "the kept prices are damaged, so they are not used");
            }
            taken.ok().map(|_| kept.fetched)
        });
        Ok(PriceFeed {
            url,
            file,
            outbound,
            gateway,
            metrics,
            fetched: tokio::sync::Mutex::new(fetched),
            failure: Mutex::default(),
        })
    }

    /// Registers an address on which the coordinator itself listens, which is never called.
    pub fn set_own_listener(&self, address: std::net::SocketAddr) {
        self.outbound.set_own_listener(address);
    }

    /// Fetches the table daily, and hourly while that fails.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut wait = {
            let age = self.fetched.lock().await.map(|at| Timestamp::now().duration_since(at));
            age.and_then(|age| Duration::try_from(age).ok()).map_or(Duration::ZERO, |age| MAX_AGE.saturating_sub(age))
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = tokio::select! {
                () = shutdown.cancelled() => return,
                refreshed = self.refresh() => if refreshed.is_ok() { MAX_AGE } else { RETRY },
            };
        }
    }

    /// Fetches the table now. After an error, the earlier prices remain in use.
    pub async fn refresh(&self) -> Result<Refreshed, FeedError> {
        let mut fetched = self.fetched.lock().await;
        let refreshed = self.fetch().await;
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &refreshed {
            Ok(refreshed) => {
                *fetched = Some(refreshed.at);
                *failure = None;
                let PriceChanges { models, changed, lower } = &refreshed.changes;
                self.metrics.prices_fetched(if changed.is_empty() {
                    PriceFetch::Unchanged
                } else {
                    PriceFetch::Changed
                });
                tracing::info!(models, changed = changed.len(), lower = lower.len(), "fetched the prices of models");
            }
            Err(error) => {
                self.metrics.prices_fetched(PriceFetch::Failed);
                let sentence = error.to_string();
                if failure.as_ref() != Some(&sentence) {
                    tracing::warn!(error = sentence, "the prices of models are not renewed");
                    *failure = Some(sentence);
                }
            }
        }
        refreshed
    }

    async fn fetch(&self) -> Result<Refreshed, FeedError> {
        let answer = self.outbound.get(&self.url, MAX_BYTES).await.map_err(FeedError::Request)?;
        if answer.status != 200 {
            return Err(FeedError::Status(answer.status));
        }
        let text = std::str::from_utf8(&answer.body).map_err(|_| FeedError::NotText)?;
        let text = text.trim_start_matches('\u{feff}');
        let at = Timestamp::now();
        let prices = self.gateway.prices();
        let since = prices.fetched_since();
        let changes = prices.set_fetched(text, at, &since).map_err(FeedError::Table)?;
        self.keep(text, at).await;
        Ok(Refreshed { at, changes })
    }

    /// Writes the table to the file. If that fails, the prices last until the next restart.
    async fn keep(&self, text: &str, fetched: Timestamp) {
        let kept = RawValue::from_string(text.to_owned()).map(|table| Kept {
            url: self.url.to_string(),
            fetched,
            since: self.gateway.prices().fetched_since(),
            table,
        });
        let written = kept.and_then(|kept| serde_json::to_vec(&kept)).map_err(std::io::Error::other);
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || replace(&file, &written?)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::warn!(file = %self.file.display(), %error, "could not keep the prices of models");
        }
    }
}

fn redirect_hint(status: u16) -> &'static str {
    if (300..400).contains(&status) { ", and redirects are not followed" } else { "" }
}

fn read(file: &Path) -> Option<Kept> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(2 * MAX_BYTES as u64).read_to_string(&mut text));
    let parsed = match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
        Ok(_) => serde_json::from_str(&text).map_err(|error| error.to_string()),
    };
    parsed
        .inspect_err(|error| {
            tracing::warn!(file = %file.display(), error, "the kept prices are damaged, so they are not used");
        })
        .ok()
}

/// Replaces a file as a whole, so that a crash leaves the old one or the new one.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = file.with_extension("json.new");
    let mut written = std::fs::File::create(&new)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}
