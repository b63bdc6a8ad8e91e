use std::pin::pin;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::{Capacity, CapacityCounts, MemoryGauge, Shortage, YIELD_AFTER};

fn capacity(max: usize) -> Capacity {
    Capacity::new(max, MemoryGauge::Unknown)
}

async fn at_once(capacity: &Capacity) -> super::Slot {
    capacity.claim(None, async |_, _| panic!("it has to wait")).await
}

#[tokio::test]
async fn who_waits_is_told_why_and_gets_what_becomes_free() {
    let capacity = capacity(1);
    let mut first = at_once(&capacity).await;
    first.idle();
    let mut told = None;
    let claim = capacity.claim(None, async |ahead, shortage| told = Some((ahead, shortage)));
    let put_away = async move {
        first.eviction_requested().await;
        drop(first);
    };
    let (second, ()) = tokio::join!(claim, put_away);
    assert_eq!(told, Some((0, Shortage::Sandboxes)));
    assert_eq!(capacity.counts(), CapacityCounts { live: 1, waiting: 0, max: 1 });
    drop(second);
    assert_eq!(capacity.counts(), CapacityCounts { live: 0, waiting: 0, max: 1 });
}

#[tokio::test]
async fn a_claim_that_is_given_up_leaves_the_line() {
    let capacity = capacity(1);
    let first = at_once(&capacity).await;
    assert!(capacity.claim(None, async |_, _| {}).now_or_never().is_none());
    assert_eq!(capacity.counts(), CapacityCounts { live: 1, waiting: 0, max: 1 });
    drop(first);
    at_once(&capacity).await;
}

#[tokio::test]
async fn a_busy_session_lets_another_go_first_after_a_while() {
    let capacity = capacity(1);
    let first = at_once(&capacity).await;
    first.busy();
    assert!(!first.yields_slot(), "nobody waits");
    let mut claim = pin!(capacity.claim(None, async |_, _| {}));
    assert!(claim.as_mut().now_or_never().is_none());
    let now = Instant::now();
    assert!(!first.yields_slot_at(now), "somebody waits, and not long");
    assert!(first.yields_slot_at(now + YIELD_AFTER));
    drop(first);
    claim.await;
}

#[tokio::test]
async fn a_new_task_keeps_a_sandbox_that_was_asked_to_go() {
    let capacity = capacity(1);
    let mut first = at_once(&capacity).await;
    first.idle();
    let mut claim = pin!(capacity.claim(None, async |_, _| {}));
    assert!(claim.as_mut().now_or_never().is_none());
    assert!(first.eviction_requested().now_or_never().is_some());
    first.busy();
    assert!(first.eviction_requested().now_or_never().is_none());
    assert!(claim.as_mut().now_or_never().is_none());
}

#[tokio::test]
async fn spare_ones_are_for_when_nobody_waits() {
    let capacity = capacity(2);
    let first = at_once(&capacity).await;
    assert!(capacity.spare().is_none(), "another one starts");
    first.busy();
    let mut spare = capacity.spare().unwrap();
    let claim = capacity.claim(None, async |_, _| {});
    let goes = async move {
        spare.eviction_requested().await;
        drop(spare);
    };
    let (second, ()) = tokio::join!(claim, goes);
    second.busy();
    assert!(capacity.spare().is_none(), "there is no room");
}
