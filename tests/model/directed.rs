//! Orders of events that matter, told one by one. Each ends with everything that `promises` checks.

use std::time::Duration;

use container_engine::{EngineError, Operation};
use coordinator::session::{AbortMode, AbortScope};
use coordinator::task::{ErrorType, TaskStatus};

use crate::agent::Command;
use crate::board::PATIENCE;
use crate::play::Play;
use crate::settings::{Settings, Wish};

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
fn a_coordinator_killed_during_a_start_leaves_no_workspace_without_its_template() {
    let mut play = Play::new(Settings::default());
    play.hang(Operation::Upload);
    let task = play.submit("answer");
    play.called(Operation::Upload);
    play.scene.world.crash();
    play.release(Operation::Upload);
    play.scene.begin_again();
    assert_eq!(play.status(task), TaskStatus::Completed);
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
    assert_eq!(play.scene.world.leftovers(), Vec::<String>::new());
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
    assert_eq!(play.scene.world.leftovers(), Vec::<String>::new());
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

#[test]
fn a_task_waits_for_an_engine_that_is_away_for_a_while() {
    let mut play = Play::new(Settings::default());
    play.scene.world.engine.go_away();
    let task = play.submit("answer");
    play.called(Operation::ListVolumes);
    play.scene.world.engine.come_back();
    assert_eq!(play.status(task), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_sandbox_that_cannot_be_made_fails_only_the_task_that_waited_for_it() {
    let mut play = Play::new(Settings::default());
    play.hang(Operation::ListVolumes);
    let (first, second) = (play.submit("answer"), play.submit("answer"));
    let error = EngineError::Other { operation: Operation::Start, name: "it".to_owned(), reason: "no".to_owned() };
    play.scene.world.engine.fail_next(Operation::Start, error);
    play.release(Operation::ListVolumes);
    assert_eq!(play.failure(first), ErrorType::EngineUnavailable);
    assert_eq!(play.status(second), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_conversation_whose_transcript_is_lost_begins_anew() {
    let mut play = Play::new(Settings::default());
    let first = play.submit("answer");
    assert_eq!(play.status(first), TaskStatus::Completed);
    play.scene.world.lose_transcript(&play.session);
    play.scene.world.kill_container(&play.session);
    let second = play.submit("answer");
    assert_eq!(play.status(second), TaskStatus::Completed);
    let told = play.scene.world.board.with(|state| {
        let mut events = state.lives.values().flat_map(|life| &life.events);
        events.any(|event| String::from_utf8_lossy(&event.json).contains("transcript_lost"))
    });
    assert!(told);
    play.end();
}

#[test]
fn a_task_goes_on_while_the_coordinator_is_away() {
    let mut play = Play::new(Settings::default());
    let (running, waiting) = (play.submit("hold"), play.submit("answer"));
    play.open(running);
    play.scene.world.crash();
    play.scene.world.tell_all(&Command::Finish);
    play.scene.begin_again();
    assert_eq!(play.status(running), TaskStatus::Completed);
    assert_eq!(play.status(waiting), TaskStatus::Completed);
    assert_eq!(play.given(running), 1);
    play.end();
}

#[test]
fn a_message_that_the_agent_has_is_not_taken_twice_after_a_restart() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("deaf");
    play.open(task);
    play.scene.restart();
    play.scene.world.tell_all(&Command::Finish);
    assert_eq!(play.status(task), TaskStatus::Completed);
    assert_eq!(play.given(task), 1);
    play.end();
}

#[test]
fn a_task_whose_container_went_meanwhile_is_lost_once_its_agent_began() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("hold");
    play.open(task);
    play.heard(task);
    play.scene.world.kill_container_after_crash();
    play.scene.begin_again();
    assert_eq!(play.failure(task), ErrorType::ContainerLost);
    play.end();
}

#[test]
fn a_task_whose_container_went_while_nobody_watched_is_not_given_again() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("deaf");
    play.open(task);
    play.scene.world.kill_container_after_crash();
    play.scene.begin_again();
    assert_eq!(play.failure(task), ErrorType::ContainerLost);
    assert_eq!(play.given(task), 1);
    play.end();
}

#[test]
fn a_task_whose_agent_gave_no_sign_is_tried_again() {
    let mut play = Play::new(Settings::default());
    let before = play.submit("answer");
    assert_eq!(play.status(before), TaskStatus::Completed);
    let task = play.submit("deaf");
    play.open(task);
    play.scene.world.board.with(|state| state.finish_all = true);
    let session = play.session.clone();
    play.scene.world.kill_container(&session);
    assert_eq!(play.status(task), TaskStatus::Completed);
    assert_eq!(play.given(task), 2);
    play.end();
}

#[test]
fn a_container_that_could_not_be_removed_goes_before_the_next_is_made() {
    let mut play = Play::new(Settings::default());
    for operation in [Operation::Start, Operation::RemoveContainer] {
        let error = EngineError::Other { operation, name: "it".to_owned(), reason: "no".to_owned() };
        play.scene.world.engine.fail_next(operation, error);
    }
    let task = play.submit("answer");
    assert_eq!(play.failure(task), ErrorType::EngineUnavailable);
    let containers = |play: &Play| {
        let leftovers = play.scene.world.leftovers();
        leftovers.into_iter().filter(|left| left.starts_with("container ")).collect::<Vec<_>>()
    };
    let left = containers(&play);
    assert_eq!(left.len(), 1);
    let next = play.submit("hold");
    play.open(next);
    let now = containers(&play);
    assert!(now.len() == 1 && now != left, "{left:?}, then {now:?}");
    play.scene.world.tell_all(&Command::Finish);
    assert_eq!(play.status(next), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_shutdown_does_not_wait_for_a_sweep() {
    let mut play = Play::new(Settings::default());
    play.scene.world.crash();
    play.hang(Operation::ListContainers);
    let lists = |play: &Play| {
        play.scene.world.engine.calls().iter().filter(|call| call.operation == Operation::ListContainers).count()
    };
    let before = lists(&play);
    play.scene.world.start();
    while lists(&play) == before {
        std::thread::yield_now();
    }
    play.scene.world.shut_down();
    play.release(Operation::ListContainers);
    play.scene.world.start();
    play.end();
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_once_more() {
    let mut play = Play::new(Settings { schema: true, ..Settings::default() });
    let task = play.submit("unstructured");
    play.answered();
    let record = play.told(task);
    assert_eq!(record.status, TaskStatus::Completed);
    let output = record.answer.unwrap().output.unwrap();
    assert!(output["answer"].as_str().unwrap().starts_with("did Your answer could not be used"), "{output}");
}

#[test]
fn the_request_for_a_better_answer_survives_the_coordinator() {
    let mut play = Play::new(Settings { schema: true, ..Settings::default() });
    let task = play.submit("unstructured-hold");
    play.open(task);
    play.scene.world.tell_all(&Command::FinishAndLeave);
    let done = play.scene.world.board.until(PATIENCE, |state| state.open.is_empty());
    assert!(done);
    play.written("\"complaint\":\"");
    play.left();
    play.scene.world.crash();
    play.scene.world.tell_all(&Command::Return);
    play.scene.begin_again();
    assert_eq!(play.status(task), TaskStatus::Completed);
}

#[test]
fn a_task_that_takes_too_long_ends_and_the_next_one_has_its_agent() {
    let mut play = Play::new(Settings::default());
    let first = play.wish(Wish { timeout: Duration::from_millis(200), ..Wish::to("hold") });
    let second = play.submit("answer");
    assert_eq!(play.failure(first), ErrorType::Timeout);
    assert_eq!(play.status(second), TaskStatus::Completed);
    play.end();
}

#[test]
fn shutting_down_ends_what_runs_and_keeps_what_waits() {
    let mut play = Play::new(Settings::default());
    let (running, waiting) = (play.submit("hold"), play.submit("answer"));
    play.open(running);
    play.scene.shut_down();
    assert_eq!(play.failure(running), ErrorType::Aborted);
    assert_eq!(play.status(waiting), TaskStatus::Completed);
    play.end();
}

#[test]
fn who_waits_is_told_once_a_full_disk_has_room_again() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("hold");
    play.open(task);
    play.heard(task);
    play.scene.world.fill_disk(true);
    play.scene.world.tell_all(&Command::Finish);
    // The end of the turn cannot be written down: no task is taken in behind it.
    let refused = play.post("answer");
    assert!(!play.scene.world.accepted(refused));
    play.scene.world.fill_disk(false);
    let next = play.submit("answer");
    assert_eq!(play.status(task), TaskStatus::Completed);
    assert_eq!(play.status(next), TaskStatus::Completed);
    play.end();
}

#[test]
fn a_delete_on_a_full_disk_loses_no_task() {
    let mut play = Play::new(Settings::default());
    let (running, waiting) = (play.submit("hold"), play.submit("answer"));
    play.open(running);
    play.heard(running);
    play.scene.world.fill_disk(true);
    play.delete();
    play.settled_deletion();
    play.scene.world.fill_disk(false);
    assert_eq!(play.failure(running), ErrorType::Deleted);
    assert_eq!(play.failure(waiting), ErrorType::Deleted);
    play.end();
}
