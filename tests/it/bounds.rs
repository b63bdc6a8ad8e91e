//! The times after which a test gives up: far above the times on a loaded machine.

use std::time::Duration;

pub(crate) const BOUND: Duration = Duration::from_mins(1);

/// Returns the outcome of `future`, or fails the test and names the event that did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(BOUND, future).await;
    outcome.unwrap_or_else(|late| panic!("not within {} s: {what}: {late}", BOUND.as_secs()))
}
