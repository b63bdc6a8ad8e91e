//! A coordinator that is stopped or killed, and the next one.

use domain::task::{ErrorType, TaskStatus};
use engine::Operation;

use crate::agent::Command;
use crate::board::PATIENCE;
use crate::play::Play;
use crate::settings::Settings;

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
    play.received(task);
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
fn a_shutdown_does_not_wait_for_the_removal_of_orphans() {
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
fn a_coordinator_killed_after_a_session_took_a_warm_sandbox_goes_on_with_it() {
    let mut play = Play::new(Settings { warm: 1, ..Settings::default() });
    play.warm(1);
    let task = play.submit("hold");
    play.scene.restart();
    play.open(task);
    play.scene.world.tell(&play.session, Command::Finish).unwrap();
    assert_eq!(play.status(task), TaskStatus::Completed);
    assert_eq!(play.given(task), 1);
    play.end();
}
