//! Agents with an invalid or late answer, or a lost conversation.

use std::time::Duration;

use domain::task::{ErrorType, TaskStatus};

use crate::play::Play;
use crate::settings::{Settings, Wish};

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
fn a_task_that_takes_too_long_ends_and_the_next_one_has_its_agent() {
    let mut play = Play::new(Settings::default());
    let first = play.wish(Wish { timeout: Duration::from_millis(200), ..Wish::to("hold") });
    let second = play.submit("answer");
    assert_eq!(play.failure(first), ErrorType::Timeout);
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
