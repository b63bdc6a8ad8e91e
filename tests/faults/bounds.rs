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

/// The length of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Among all other tests, which have an hour together.
    Brief,
    /// `scripts/faults`: FAULTS_LENGTH=short.
    Short,
    /// `scripts/faults --long`: FAULTS_LENGTH=long.
    Long,
}

pub(crate) fn length() -> Length {
    match std::env::var("FAULTS_LENGTH").as_deref() {
        Ok("long") => Length::Long,
        Ok("short") => Length::Short,
        Ok("brief") | Err(_) => Length::Brief,
        Ok(other) => panic!("FAULTS_LENGTH is {other:?}: it may be brief, short or long"),
    }
}

/// Returns `long` where `scripts/faults --long` asks for it, otherwise `short`.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if length() == Length::Long { long } else { short }
}

/// Returns a random generator whose printed seed can be repeated with FAULTS_SEED.
pub(crate) fn random() -> StdRng {
    let seed = std::env::var("FAULTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("FAULTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
