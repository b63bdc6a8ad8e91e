//! The betas of model requests: those that Claude Code was seen to send pass, all others are removed.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use observe::metrics::Metrics;
use serde::Deserialize;

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Without this beta, the API refuses an OAuth token. The CLI sends it only if it has such a token itself.
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// The list in `betas.json`: what the CLI sent to a scripted model API, in recordings of several versions, models and features.
static SEEN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    // A test reads the file, so the default is never used.
    serde_json::from_str(include_str!("betas.json"))
        .map(|file: File| file.betas.into_iter().collect())
        .unwrap_or_default()
});

#[derive(Deserialize)]
struct File {
    betas: Vec<String>,
}

/// Remembers the betas that were removed, so that each is logged once.
#[derive(Debug, Default)]
pub(super) struct RemovedBetas {
    logged: Mutex<BTreeSet<String>>,
}

impl RemovedBetas {
    /// The number of betas that are logged. The names come from the agent, so their number must have a bound.
    const MAX_LOGGED: usize = 32;
    /// Known betas have at most 45 characters.
    const MAX_CHARS: usize = 80;

    /// Removes the betas that the CLI was not seen to send. The others may be spread over several headers. They stay in one.
    pub(super) fn remove(&self, headers: &mut HeaderMap, metrics: &Metrics) {
        let (passing, removed): (Vec<String>, Vec<String>) =
            betas_of(headers).into_iter().partition(|beta| is_seen(beta));
        for beta in removed.iter().filter(|beta| *beta != OAUTH_BETA) {
            metrics.beta_removed();
            self.log_once(beta);
        }
        put(headers, &passing);
    }

    fn log_once(&self, beta: &str) {
        let beta: String = beta.chars().filter(char::is_ascii_graphic).take(Self::MAX_CHARS).collect();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < Self::MAX_LOGGED && logged.insert(beta.clone()) {
            tracing::warn!(beta, "removed a beta from model requests: Claude Code was not seen to send it");
        }
    }
}

/// Returns true for a beta that Claude Code was seen to send.
pub(super) fn is_seen(beta: &str) -> bool {
    SEEN.contains(beta)
}

/// Adds or removes the OAuth beta.
pub(super) fn set_oauth_beta(headers: &mut HeaderMap, wanted: bool) {
    let mut betas = betas_of(headers);
    betas.retain(|beta| beta != OAUTH_BETA);
    if wanted {
        betas.push(OAUTH_BETA.to_owned());
    }
    put(headers, &betas);
}

/// All betas, each once.
fn betas_of(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(ANTHROPIC_BETA).iter().filter_map(|value| value.to_str().ok());
    let mut betas: Vec<String> = Vec::new();
    for beta in values.flat_map(|value| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty()) {
        if !betas.iter().any(|known| known == beta) {
            betas.push(beta.to_owned());
        }
    }
    betas
}

fn put(headers: &mut HeaderMap, betas: &[String]) {
    headers.remove(ANTHROPIC_BETA);
    let text = betas.join(",");
    if let Ok(value) = HeaderValue::from_str(&text)
        && !text.is_empty()
    {
        headers.insert(ANTHROPIC_BETA, value);
    }
}

#[cfg(test)]
mod tests;
