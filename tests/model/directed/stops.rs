//! Aborts, interrupts and deletes at any point of a task.

use domain::task::{ErrorType, TaskStatus};
use engine::{EngineError, Operation};
use sessions::session::{AbortMode, AbortScope};

use crate::agent::Command;
use crate::play::Play;
use crate::settings::Settings;

#[test]
fn an_abort_calls_a_start_off() {
    let mut play = Play::new(Settings::default());
    play.hang(Operation::Start);
    let task = play.submit("answer");
    play.called(Operation::Start);
    play.abort(AbortScope::Session, AbortMode::Kill);
    assert_eq!(play.failure(task), ErrorType::Aborted);
    play.release(Operation::Start);
    let next = play.submit("answer");
    assert_eq!(play.status(next), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_start_that_was_called_off_leaves_no_workspace_without_its_template() {
    let mut play = Play::new(Settings::default());
    play.hang(Operation::Upload);
    let task = play.submit("answer");
    play.called(Operation::Upload);
    play.abort(AbortScope::Session, AbortMode::Kill);
    assert_eq!(play.failure(task), ErrorType::Aborted);
    play.release(Operation::Upload);
    let next = play.submit("answer");
    assert_eq!(play.status(next), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_delete_during_a_start_leaves_nothing() {
    let mut play = Play::new(Settings::default());
    play.hang(Operation::Start);
    let task = play.submit("answer");
    play.called(Operation::Start);
    play.delete();
    assert_eq!(play.failure(task), ErrorType::Deleted);
    play.release(Operation::Start);
    play.answered();
    assert_eq!(play.scene.world.remaining(), Vec::<String>::new());
    play.end();
}

#[test]
fn a_delete_removes_what_a_failed_start_left() {
    let mut play = Play::new(Settings::default());
    for operation in [Operation::Start, Operation::RemoveContainer] {
        let error = EngineError::Other { operation, name: "it".to_owned(), reason: "no".to_owned() };
        play.scene.world.engine.fail_next(operation, error);
    }
    let task = play.submit("answer");
    assert_eq!(play.failure(task), ErrorType::EngineUnavailable);
    play.delete();
    play.answered();
    assert_eq!(play.scene.world.remaining(), Vec::<String>::new());
    play.end();
}

#[test]
fn what_is_posted_during_a_delete_begins_a_new_life() {
    let mut play = Play::new(Settings::default());
    let first = play.submit("hold");
    play.open(first);
    play.hang(Operation::RemoveContainer);
    play.delete();
    assert_eq!(play.failure(first), ErrorType::Deleted);
    let second = play.post("answer");
    play.release(Operation::RemoveContainer);
    assert!(play.scene.world.accepted(second));
    assert_eq!(play.status(second), TaskStatus::Completed);
    assert_ne!(play.told(first).session, play.told(second).session);
    play.end();
}

#[test]
fn an_interrupt_keeps_the_container() {
    let mut play = Play::new(Settings::default());
    let first = play.submit("hold");
    play.open(first);
    play.abort(AbortScope::Session, AbortMode::Interrupt);
    assert_eq!(play.failure(first), ErrorType::Aborted);
    let second = play.submit("answer");
    assert_eq!(play.status(second), TaskStatus::Completed);
    let containers = play
        .scene
        .world
        .board
        .with(|state| state.given.iter().map(|given| given.container.clone()).collect::<Vec<_>>());
    assert_eq!(containers[0], containers[1]);
    play.end();
}

#[test]
fn a_kill_after_an_interrupt_that_did_nothing_answers_both() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("stubborn");
    play.open(task);
    play.abort(AbortScope::Task(play.id(task)), AbortMode::Interrupt);
    play.abort(AbortScope::Session, AbortMode::Kill);
    play.answered();
    assert_eq!(play.failure(task), ErrorType::Aborted);
    play.end();
}

#[test]
fn aborting_a_task_that_waits_leaves_the_running_one_alone() {
    let mut play = Play::new(Settings::default());
    let running = play.submit("hold");
    play.open(running);
    let waiting = play.submit("answer");
    let last = play.submit("answer");
    play.abort(AbortScope::Task(play.id(waiting)), AbortMode::Kill);
    assert_eq!(play.failure(waiting), ErrorType::Aborted);
    play.scene.world.tell_all(&Command::Finish);
    assert_eq!(play.status(running), TaskStatus::Completed);
    assert_eq!(play.status(last), TaskStatus::Completed);
    play.end();
}
