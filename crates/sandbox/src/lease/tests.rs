use std::sync::Arc;
use std::time::Duration;

use engine::{Engine as _, EngineError, FakeEngine, Labels, Operation};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{EngineLease, EnginePlace, LeaseHeld, LeaseHolder, Timing};
use crate::Instance;

/// The times are long, so that a late renewal on a slow machine does not look like an expired lease.
const TIMING: Timing =
    Timing { renewal: Duration::from_millis(20), expiry: Duration::from_secs(3), poll: Duration::from_millis(20) };

async fn acquire_as(engine: &FakeEngine, instance: &str, id: &str) -> Result<EngineLease<Arc<FakeEngine>>, LeaseHeld> {
    let (engine, instance) = (Arc::new(engine.clone()), Instance::named(instance));
    let holder = LeaseHolder::named(id, EnginePlace::Elsewhere);
    EngineLease { timing: TIMING, ..EngineLease::new(engine, instance, holder) }.take().await
}

async fn acquire(engine: &FakeEngine, holder: &str) -> Result<EngineLease<Arc<FakeEngine>>, LeaseHeld> {
    acquire_as(engine, "0123abcd", holder).await
}

#[tokio::test]
async fn one_holder_at_a_time_has_the_engine() {
    let engine = FakeEngine::new(&[]);
    let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
    let lease = acquire(&engine, "one").await.unwrap();
    let keeping = TaskTracker::new().spawn(lease.keep(stop.clone(), lost.clone()));
    assert!(acquire(&engine, "other").await.is_err(), "the holder renews its lease");
    // Another installation has its own lease.
    acquire_as(&engine, "4567cdef", "other").await.unwrap();

    stop.cancel();
    keeping.await.unwrap();
    assert!(!lost.is_cancelled());
    let began = Instant::now();
    acquire(&engine, "other").await.unwrap();
    assert!(began.elapsed() < TIMING.expiry, "it was released");
}

#[tokio::test]
async fn a_holder_that_was_killed_is_itself_again_at_once_and_replaced_after_a_while() {
    let engine = FakeEngine::new(&[]);
    drop(acquire(&engine, "one").await.unwrap());
    let began = Instant::now();
    drop(acquire(&engine, "one").await.unwrap());
    assert!(began.elapsed() < TIMING.expiry);
    let began = Instant::now();
    drop(acquire(&engine, "other").await.unwrap());
    assert!(began.elapsed() >= TIMING.expiry, "{:?}", began.elapsed());
    assert_eq!(engine.list_volumes(&Labels::new()).await.unwrap().len(), 1, "earlier generations are removed");
}

#[tokio::test]
async fn a_holder_that_was_replaced_ends() {
    let engine = FakeEngine::new(&[]);
    let lease = acquire(&engine, "one").await.unwrap();
    let _other = acquire(&engine, "other").await.unwrap();
    let lost = CancellationToken::new();
    lease.keep(CancellationToken::new(), lost.clone()).await;
    assert!(lost.is_cancelled());
}

#[tokio::test]
async fn the_start_waits_for_an_engine_that_does_not_answer() {
    let engine = FakeEngine::new(&[]);
    let operation = Operation::ListVolumes;
    let away = EngineError::Unreachable { operation, address: "tcp://engine".to_owned(), reason: "away".to_owned() };
    engine.fail_next(operation, away);
    acquire(&engine, "one").await.unwrap();
}

#[tokio::test]
async fn of_two_processes_with_the_same_holder_one_ends() {
    let engine = FakeEngine::new(&[]);
    let mut original = acquire(&engine, "one").await.unwrap();
    let mut clone = acquire(&engine, "one").await.unwrap();
    // Both renew the same generation, as the clone of a running machine does.
    original.generation = clone.generation;
    assert!(clone.renew().await.unwrap());
    assert!(!original.renew().await.unwrap(), "both had the lease");
    assert!(clone.renew().await.unwrap());
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_still_the_own_one() {
    let engine = FakeEngine::new(&[]);
    let mut lease = acquire(&engine, "one").await.unwrap();
    let operation = Operation::ListVolumes;
    let away = EngineError::Unreachable { operation, address: "tcp://engine".to_owned(), reason: "away".to_owned() };
    engine.fail_next(operation, away);
    assert!(lease.renew().await.is_err());
    assert!(lease.renew().await.unwrap());
}
