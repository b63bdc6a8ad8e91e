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
            && *began > asked
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

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::SharedCheck;

    #[tokio::test]
    async fn all_who_ask_at_once_share_a_check_that_began_later() {
        let (shared, checks, go_on) = (SharedCheck::default(), AtomicUsize::new(0), Notify::new());
        let check = async || checks.fetch_add(1, Ordering::Relaxed);
        let first = shared.get(async {
            go_on.notified().await;
            check().await
        });
        // They ask while the first check runs, which may have missed what they ask for.
        let later = join_all((0..100).map(|_| shared.get(check())));
        let (first, later, ()) = tokio::join!(first, later, async { go_on.notify_one() });
        assert_eq!((first, later), (0, vec![1; 100]));
        assert_eq!(shared.get(check()).await, 2);
    }
}
