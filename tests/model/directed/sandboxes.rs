//! Sandboxes that do not start, are warm, share the limit, or are evicted.

use domain::session::SessionId;
use domain::task::{ErrorType, TaskStatus};
use engine::{EngineError, Operation};

use crate::agent::Command;
use crate::play::Play;
use crate::scene::Scene;
use crate::settings::{Settings, Wish};

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
fn a_container_that_could_not_be_removed_goes_before_the_next_is_made() {
    let mut play = Play::new(Settings::default());
    for operation in [Operation::Start, Operation::RemoveContainer] {
        let error = EngineError::Other { operation, name: "it".to_owned(), reason: "no".to_owned() };
        play.scene.world.engine.fail_next(operation, error);
    }
    let task = play.submit("answer");
    assert_eq!(play.failure(task), ErrorType::EngineUnavailable);
    let containers = |play: &Play| {
        let remaining = play.scene.world.remaining();
        remaining.into_iter().filter(|left| left.starts_with("container ")).collect::<Vec<_>>()
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
fn an_agent_that_was_lost_is_not_taken_over() {
    let mut play = Play::new(Settings::default());
    // The coordinator dies between the end of the task and the removal of the sandbox, in which the turn goes on.
    play.hang(Operation::RemoveContainer);
    let garbage = play.submit("garbage");
    assert_eq!(play.failure(garbage), ErrorType::ExitCode);
    let next = play.submit("answer");
    play.scene.world.crash();
    play.scene.world.engine.release(Operation::RemoveContainer);
    play.scene.begin_again();
    play.scene.world.tell_all(&Command::Finish);
    assert_eq!(play.status(next), TaskStatus::Completed);
    play.end();
}

#[test]
fn the_removal_of_orphans_spares_warm_sandboxes_and_a_session_takes_one() {
    let mut play = Play::new(Settings { warm: 1, ..Settings::default() });
    play.warm(1);
    let there = play.scene.world.remaining();
    assert_eq!(there.len(), 4, "a container, two volumes, a link: {there:?}");
    play.scene.world.remove_all_orphans();
    assert_eq!(play.scene.world.remaining(), there);
    let task = play.submit("answer");
    assert_eq!(play.status(task), TaskStatus::Completed);
    assert!(play.scene.world.remaining().contains(&there[0]), "{} was not used", there[0]);
    play.end();
}

#[test]
fn the_removal_of_orphans_spares_the_volumes_of_a_sandbox_that_is_being_made() {
    let mut play = Play::new(Settings::default());
    play.scene.world.crash();
    play.hang(Operation::CreateContainer);
    play.scene.world.settings.warm = 1;
    play.scene.begin_again();
    play.called(Operation::CreateContainer);
    let there = play.scene.world.remaining();
    play.scene.world.remove_all_orphans();
    assert_eq!(play.scene.world.remaining(), there);
    play.release(Operation::CreateContainer);
    play.warm(1);
    play.end();
}

#[test]
fn a_busy_session_and_a_patient_one_share_the_only_sandbox() {
    let sessions: Vec<SessionId> = ["a", "b"].map(|id| id.parse().unwrap()).into();
    let mut scene = Scene::new(Settings { max_sandboxes: 1, ..Settings::default() }, &sessions);
    let tasks: Vec<usize> =
        sessions.iter().cycle().take(6).map(|session| scene.world.submit(session, Wish::to("answer"))).collect();
    for task in tasks {
        assert!(scene.world.accepted(task));
    }
    assert_eq!(scene.end(|record| record.failure.as_ref().map(|failure| failure.error.clone())), Vec::<String>::new());
}
