use std::sync::Arc;

use store::StoreError;
use tokio::sync::oneshot;

use super::{StopReply, Waiters};
use crate::session::request::{SubmitError, Until};
use crate::session::tasks::{test_record, test_submission};

#[test]
fn the_end_of_a_task_answers_all_that_wait_for_it_and_nobody_else() {
    let mut waiters = Waiters::default();
    let (one, other) = (test_record(), test_record());
    let channels: [_; 3] = std::array::from_fn(|_| oneshot::channel());
    let [(first, mut of_first), (second, mut of_second), (third, mut of_third)] = channels;
    waiters.wait_for(one.id.clone(), Until::End, first);
    waiters.wait_for(one.id.clone(), Until::Ask, second);
    waiters.wait_for(other.id.clone(), Until::End, third);
    let (interrupt, mut interrupted) = oneshot::channel();
    waiters.wait_for_interrupt(one.id.clone(), interrupt);
    waiters.task_ended(&one);
    assert_eq!(of_first.try_recv().unwrap().unwrap().id, one.id);
    assert_eq!(of_second.try_recv().unwrap().unwrap().id, one.id);
    assert!(interrupted.try_recv().unwrap());
    assert!(of_third.try_recv().is_err());
    waiters.task_ended(&other);
    assert_eq!(of_third.try_recv().unwrap().unwrap().id, other.id);
}

#[test]
fn a_stop_that_could_not_be_written_fails_resets_and_deletes_but_no_abort() {
    let mut waiters = Waiters::default();
    let ((abort, mut aborted), (reset, mut was_reset)) = (oneshot::channel(), oneshot::channel());
    waiters.wait_for_stop(StopReply::Abort(abort));
    waiters.wait_for_stop(StopReply::Reset(reset));
    waiters.stopped(&Err(Arc::new(StoreError::Closed)));
    assert!(aborted.try_recv().unwrap());
    assert!(was_reset.try_recv().unwrap().is_err());
    // The next stop does not affect them.
    waiters.stopped(&Ok(()));
}

#[test]
fn tasks_for_the_next_life_are_bounded() {
    let mut waiters = Waiters::default();
    let submission = || Box::new(test_submission());
    let ((first, mut kept), (second, mut refused)) = (oneshot::channel(), oneshot::channel());
    waiters.defer((submission(), first), 1);
    waiters.defer((submission(), second), 1);
    assert!(kept.try_recv().is_err());
    assert!(matches!(refused.try_recv().unwrap(), Err(SubmitError::QueueFull(1))));
    assert_eq!(waiters.take_deferred().len(), 1);
    assert!(!waiters.has_deferred());
}
