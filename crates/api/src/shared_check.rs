//! A check that is made once for all who ask at the same time.

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last outcome, and the moment at which its check began.
#[derive(Debug)]
pub(crate) struct SharedCheck<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for SharedCheck<T> {
    fn default() -> Self {
        SharedCheck(Mutex::new(None))
    }
}

impl<T: Clone> SharedCheck<T> {
    /// Returns the outcome of a check that began after this call. One runs at a time, and all who came before it began share it:
    /// any number of callers cost two checks.
    pub(crate) async fn get(&self, check: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((began, outcome)) = &*last
            && *began >= asked
        {
            return outcome.clone();
        }
        let began = Instant::now();
        let outcome = check.await;
        *last = Some((began, outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::SharedCheck;

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_share_a_check_that_began_later() {
        let (shared, checks) = (SharedCheck::default(), AtomicUsize::new(0));
        let ask = async || {
            shared
                .get(async {
                    let number = checks.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_secs(1)).await;
                    number
                })
                .await
        };
        let first = async { (ask().await, sleep(Duration::ZERO).await) };
        let later = async {
            sleep(Duration::from_millis(500)).await;
            join_all((0..100).map(|_| ask())).await
        };
        let ((first, ()), later) = tokio::join!(first, later);
        assert_eq!(first, 0);
        assert!(later.iter().all(|number| *number == 1), "{later:?}");
        assert_eq!(ask().await, 2);
    }
}
