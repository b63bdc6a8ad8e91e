//! A resource in which each holder has a share. A holder that uses its whole share waits without delaying the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Exhausted, Holder};

/// Above this number of holders, those that hold nothing are dropped.
const MAX_REMEMBERED: usize = 1_000;

/// The resource. It is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    /// The most that one holder may have at once.
    share: u32,
    holders: Arc<Mutex<HashMap<Holder, Arc<Semaphore>>>>,
}

/// The resource that a holder took. Dropping it returns the resource.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(crate) fn new(share: u32) -> Self {
        Turns { share, holders: Arc::default() }
    }

    /// Waits for `amount`, at most the whole share, behind earlier requests of the same holder.
    pub(crate) async fn take(&self, holder: &Holder, amount: u32) -> Turn {
        // It fails only for a closed semaphore, and nobody closes one.
        Turn { _permit: self.of(holder).acquire_many_owned(amount.min(self.share)).await.ok() }
    }

    /// Takes one like [`Turns::take`], and gives up after `wait`.
    pub(crate) async fn take_within(&self, holder: &Holder, wait: Duration) -> Result<Turn, Exhausted> {
        let share = usize::try_from(self.share).unwrap_or(usize::MAX);
        timeout(wait, self.take(holder, 1)).await.map_err(|_| Exhausted::Share(share))
    }

    fn of(&self, holder: &Holder) -> Arc<Semaphore> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.len() > MAX_REMEMBERED && !holders.contains_key(holder) {
            // A permit and a waiting request have a reference of their own.
            holders.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = holders.entry(holder.clone());
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(self.share as usize))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::{MAX_REMEMBERED, Turns};
    use crate::access::{Exhausted, Holder};

    fn holder(number: u32) -> Holder {
        Holder::Address(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[tokio::test]
    async fn a_holder_waits_for_itself_only() {
        let turns = Turns::new(2);
        let one = holder(1);
        let first = turns.take(&one, 1).await;
        let _second = turns.take(&one, 1).await;
        let refused = turns.take_within(&one, Duration::from_millis(1)).await;
        assert_eq!(refused.unwrap_err(), Exhausted::Share(2));
        let mut waits = Box::pin(turns.take(&one, 1));
        assert!(waits.as_mut().now_or_never().is_none());
        turns.take(&holder(2), 2).now_or_never().expect("the other holder has its own part");
        drop(first);
        waits.await;
    }

    #[tokio::test]
    async fn more_than_the_share_is_the_whole_share() {
        let turns = Turns::new(2);
        let whole = turns.take(&holder(1), 9).await;
        assert!(turns.take(&holder(1), 1).now_or_never().is_none());
        drop(whole);
        turns.take(&holder(1), 1).await;
    }

    #[tokio::test]
    async fn holders_of_nothing_are_forgotten_and_others_are_not() {
        let turns = Turns::new(1);
        let _held = turns.take(&holder(0), 1).await;
        for number in 1..3_000 {
            turns.take(&holder(number), 1).await;
        }
        assert!(turns.holders.lock().unwrap().len() <= MAX_REMEMBERED + 1);
        assert!(turns.take(&holder(0), 1).now_or_never().is_none());
    }
}
