//! A store that cannot write.

use domain::task::{ErrorType, TaskStatus};

use crate::agent::Command;
use crate::play::Play;
use crate::settings::Settings;

#[test]
fn who_waits_is_told_once_a_full_disk_has_room_again() {
    let mut play = Play::new(Settings::default());
    let task = play.submit("hold");
    play.open(task);
    play.received(task);
    play.scene.world.fill_disk(true);
    play.scene.world.tell_all(&Command::Finish);
    // The end of the turn cannot be written, so no further task is accepted.
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
    play.received(running);
    play.scene.world.fill_disk(true);
    play.delete();
    play.settled_deletion();
    play.scene.world.fill_disk(false);
    assert_eq!(play.failure(running), ErrorType::Deleted);
    assert_eq!(play.failure(waiting), ErrorType::Deleted);
    play.end();
}

#[test]
fn a_task_that_an_idle_agent_was_to_begin_is_refused_on_a_full_disk() {
    let mut play = Play::new(Settings::default());
    let before = play.submit("answer");
    assert_eq!(play.status(before), TaskStatus::Completed);
    play.scene.world.fill_disk(true);
    let refused = play.post("answer");
    assert!(!play.scene.world.accepted(refused));
    let registry = play.scene.world.registry_of();
    let view = play.scene.world.now(registry.describe(&play.session)).unwrap().unwrap();
    assert_eq!((view.busy, view.state), (false, "idle"));
    play.scene.world.fill_disk(false);
    let next = play.submit("answer");
    assert_eq!(play.status(next), TaskStatus::Completed);
    assert_eq!((play.given(refused), play.given(next)), (0, 1));
    drop(registry);
    play.end();
}

#[test]
fn a_session_that_cannot_be_written_down_leaves_its_warm_sandbox_behind_for_nobody() {
    let mut play = Play::new(Settings { warm: 1, ..Settings::default() });
    play.warm(1);
    play.scene.world.fill_disk(true);
    let refused = play.post("answer");
    assert!(!play.scene.world.accepted(refused));
    play.scene.world.fill_disk(false);
    let task = play.submit("answer");
    assert_eq!(play.status(task), TaskStatus::Completed);
    play.end();
}
