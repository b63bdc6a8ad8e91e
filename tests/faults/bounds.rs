//! The time after which a test gives up, and the length of a run.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Far more than any step takes on a loaded machine.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

/// The pause of a client between two tries. No test depends on its exact length.
pub(crate) const PACE: Duration = Duration::from_millis(25);

/// Returns the outcome of `future`, or fails the test and names the event that did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(BOUND, future).await;
    outcome.unwrap_or_else(|_| panic!("not within {} s: {what}", BOUND.as_secs()))
}

/// Returns `short` in CI and `long` where `scripts/faults --long` asks for it.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var("FAULTS_LENGTH").is_ok_and(|length| length == "long") { long } else { short }
}

/// Returns a random generator whose printed seed can be repeated with FAULTS_SEED.
pub(crate) fn random() -> StdRng {
    let seed = std::env::var("FAULTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("FAULTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
