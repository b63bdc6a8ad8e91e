use std::time::Duration;

use domain::task::ErrorType;
use futures::FutureExt as _;
use sandbox::capacity::{Capacity, MemoryGauge};

use super::{NotLaunched, Reserved, SessionSandbox, failure_of};
use crate::session::state::State;

fn holding(capacity: &Capacity) -> SessionSandbox {
    SessionSandbox { slot: Some(capacity.adopt()), ..SessionSandbox::default() }
}

#[tokio::test]
async fn a_slot_goes_with_the_sandbox_that_is_taken_down() {
    let capacity = Capacity::new(1, MemoryGauge::Unknown);
    let (_, slot) = holding(&capacity).detach();
    assert_eq!(capacity.counts().live, 1);
    drop(slot);
    assert_eq!(capacity.counts().live, 0);
}

#[tokio::test]
async fn a_reserved_slot_is_used_by_one_launch() {
    let capacity = Capacity::new(1, MemoryGauge::Unknown);
    let mut sandbox = SessionSandbox::default();
    sandbox.reserve_slot(capacity.adopt());
    assert!(matches!(std::mem::take(&mut sandbox.reserved), Reserved::Slot(_)));
    assert!(matches!(sandbox.reserved, Reserved::Nothing));
    assert_eq!(capacity.counts().live, 0);
}

#[tokio::test]
async fn only_an_idle_sandbox_is_asked_to_make_room() {
    let capacity = Capacity::new(1, MemoryGauge::Unknown);
    let mut sandbox = holding(&capacity);
    let mut claim = Box::pin(capacity.claim(None, async |_, _| {}));
    assert!(claim.as_mut().now_or_never().is_none());
    for state in [State::Running, State::Evicting] {
        sandbox.report_usage(state);
        assert!(sandbox.listen().1.now_or_never().is_none(), "{state:?}");
    }
    sandbox.report_usage(State::Idle);
    sandbox.listen().1.await;
    drop(sandbox.detach());
    claim.await;
}

#[tokio::test]
async fn a_session_without_a_sandbox_hears_nothing() {
    let mut sandbox = SessionSandbox::default();
    let (output, eviction) = sandbox.listen();
    assert!(output.now_or_never().is_none() && eviction.now_or_never().is_none());
    assert!(sandbox.may_have_asked(), "nobody watched its agent");
    assert!(!sandbox.apply_env(&[].into()));
    assert!(!sandbox.yield_slot());
}

#[tokio::test]
async fn a_launch_that_failed_is_not_under_way_any_more() {
    let mut sandbox = SessionSandbox { launching: Some(<_>::default()), ..SessionSandbox::default() };
    let Err(error) = sandbox.on_launch_end(Err(NotLaunched::NoRoom(Duration::from_secs(1)))) else { panic!() };
    assert!(sandbox.launching.is_none() && !sandbox.is_attached());
    assert_eq!(failure_of(&error).error_type, ErrorType::CapacityReached);
}
