//! The time after which a test gives up, and the length of a run.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Far above what anything takes on a loaded machine.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

/// Between two tries of something that is away: a client's politeness, nothing waits for just this long.
pub(crate) const PACE: Duration = Duration::from_millis(25);

/// The outcome of `future`, or a failed test that names what did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(BOUND, future).await;
    outcome.unwrap_or_else(|_| panic!("not within {} s: {what}", BOUND.as_secs()))
}

/// `short` in CI, `long` where `scripts/faults --long` asks for it.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var("FAULTS_LENGTH").is_ok_and(|length| length == "long") { long } else { short }
}

/// Randomness that can be repeated with FAULTS_SEED, which is printed.
pub(crate) fn random() -> StdRng {
    let seed = std::env::var("FAULTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("FAULTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
