//! Handwritten histories: a correct one, and one for each kind of violation that the checker detects.

use serde_json::{Value, json};

use super::Findings;
use crate::history::{AcceptedTask, Completes, Connection, Expected, Follower, History};

fn event(seq: u64, kind: &str, task: &str, more: &Value) -> Value {
    let mut event =
        json!({ "type": kind, "seq": seq, "ts": format!("2030-01-01T00:00:{seq:02}.000Z"), "taskId": task });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn accepted(task: &str) -> AcceptedTask {
    AcceptedTask {
        session: "s".to_owned(),
        task: task.to_owned(),
        message: format!("message of {task}"),
        expected: Expected {
            completes: Completes::WithText("one two".to_owned()),
            errors: &["container_lost"],
            requests: Some(1),
        },
    }
}

/// Returns two tasks. The answer of the first one and its subscriber were cut off.
fn right() -> History {
    let log = vec![
        event(1, "task_queued", "a", &json!({})),
        event(2, "task_start", "a", &json!({})),
        event(3, "text", "a", &json!({ "text": "one" })),
        event(4, "task_queued", "b", &json!({})),
        event(5, "retry", "a", &json!({ "discardsFrom": 3 })),
        event(6, "text", "a", &json!({ "text": "one two" })),
        event(7, "task_complete", "a", &json!({})),
        event(8, "task_start", "b", &json!({})),
        event(9, "text", "b", &json!({ "text": "one " })),
        event(10, "text", "b", &json!({ "text": "two" })),
        event(11, "task_complete", "b", &json!({})),
    ];
    let connections = vec![
        Connection { since: 0, events: log[..4].to_vec() },
        Connection { since: 4, events: Vec::new() },
        Connection { since: 4, events: log[4..].to_vec() },
    ];
    let completed = json!({ "status": "completed", "errorType": null });
    History {
        deleted: [].into(),
        accepted: vec![accepted("a"), accepted("b")],
        followers: vec![Follower { session: "s".to_owned(), connections }],
        logs: [("s".to_owned(), log)].into(),
        records: [("a".to_owned(), completed.clone()), ("b".to_owned(), completed)].into(),
        asked: [("message of a".to_owned(), 2), ("message of b".to_owned(), 1)].into(),
        faults: vec!["2030-01-01T00:00:04.000Z".parse().unwrap()],
    }
}

/// Returns the number of findings after `spoil`, in the order of the table.
fn counts(spoil: impl FnOnce(&mut History)) -> [usize; 5] {
    let mut history = right();
    spoil(&mut history);
    let found = Findings::of(&history);
    let found = [found.tasks_lost, found.tasks_doubled, found.wrong_reason, found.events_lost, found.events_doubled];
    found.map(|sentences| sentences.len())
}

fn log(history: &mut History) -> &mut Vec<Value> {
    history.logs.get_mut("s").unwrap()
}

#[test]
fn a_right_history_is_right() {
    assert_eq!(Findings::of(&right()), Findings::default());
}

#[test]
fn a_task_that_is_lost_is_found() {
    assert_eq!(counts(|history| drop(history.records.remove("a"))), [1, 0, 0, 0, 0]);
    assert_eq!(counts(|history| history.records.get_mut("b").unwrap()["status"] = json!("running")), [1, 0, 1, 0, 0]);
    // The end is missing from the log and from the subscriber's last connection.
    let ends_before = |history: &mut History| {
        log(history).pop();
        history.followers[0].connections[2].events.pop();
    };
    assert_eq!(counts(ends_before), [1, 0, 0, 0, 0]);
}

#[test]
fn a_deleted_session_takes_its_log_along() {
    let without_log = |history: &mut History| {
        history.followers.clear();
        history.logs.clear();
    };
    assert_eq!(counts(without_log), [2, 0, 0, 0, 0]);
    let deleted = |history: &mut History| {
        without_log(history);
        history.deleted.insert("s".to_owned());
    };
    assert_eq!(counts(deleted), [0, 0, 0, 0, 0]);
}

#[test]
fn a_task_that_is_doubled_is_found() {
    let ends_twice = |history: &mut History| log(history).push(event(12, "abort", "a", &json!({})));
    assert_eq!(counts(ends_twice), [0, 1, 0, 0, 0]);
    let nobody_was_told = |history: &mut History| drop(history.accepted.remove(0));
    assert_eq!(counts(nobody_was_told), [0, 1, 0, 0, 0]);
    let side_by_side = |history: &mut History| {
        history.followers.clear();
        log(history)[3] = event(4, "task_start", "b", &json!({}));
    };
    assert_eq!(counts(side_by_side), [0, 2, 0, 0, 0]);
    let out_of_turn = |history: &mut History| history.accepted.swap(0, 1);
    assert_eq!(counts(out_of_turn), [0, 1, 0, 0, 0]);
    let asked_twice = |history: &mut History| history.asked = [("message of b".to_owned(), 2)].into();
    assert_eq!(counts(asked_twice), [0, 1, 0, 0, 0]);
    let asked_again_without_a_cut = |history: &mut History| history.faults.clear();
    assert_eq!(counts(asked_again_without_a_cut), [0, 1, 0, 0, 0]);
}

#[test]
fn a_reason_that_is_not_true_is_found() {
    let never_completes = |history: &mut History| history.accepted[0].expected.completes = Completes::Never;
    assert_eq!(counts(never_completes), [0, 0, 1, 0, 0]);
    let failed = json!({ "status": "failed", "errorType": "stalled" });
    // The reason is wrong, and the log contradicts it.
    assert_eq!(counts(|history| drop(history.records.insert("a".to_owned(), failed))), [0, 0, 2, 0, 0]);
}

#[test]
fn an_event_that_is_lost_is_found() {
    // The log has a gap, and each later event differs from the one the subscriber received.
    let hole = |history: &mut History| drop(log(history).remove(9));
    assert!(counts(hole)[3] > 0);
    let of_a_subscriber = |history: &mut History| drop(history.followers[0].connections[2].events.remove(3));
    assert_eq!(counts(of_a_subscriber), [0, 0, 0, 1, 0]);
    let between_connections = |history: &mut History| drop(history.followers[0].connections[2].events.remove(0));
    assert_eq!(counts(between_connections), [0, 0, 0, 1, 0]);
    let another_one = |history: &mut History| history.followers[0].connections[0].events[2]["text"] = json!("won");
    assert_eq!(counts(another_one), [0, 0, 0, 1, 0]);
    let came_back_further_on = |history: &mut History| history.followers[0].connections[1].since = 5;
    assert!(counts(came_back_further_on)[3] > 0);
    let text_is_short = |history: &mut History| {
        history.followers.clear();
        log(history)[9]["text"] = json!("");
    };
    assert_eq!(counts(text_is_short), [0, 0, 0, 1, 0]);
}

#[test]
fn an_event_that_is_doubled_is_found() {
    let told_twice = |history: &mut History| {
        let again = history.followers[0].connections[2].events[0].clone();
        history.followers[0].connections[2].events.insert(0, again);
    };
    assert_eq!(counts(told_twice), [0, 0, 0, 0, 1]);
    let out_of_order = |history: &mut History| history.followers[0].connections[0].events.swap(1, 2);
    assert_eq!(counts(out_of_order)[4], 1);
    let not_taken_back = |history: &mut History| {
        history.followers.clear();
        log(history)[4].as_object_mut().unwrap().remove("discardsFrom");
    };
    assert_eq!(counts(not_taken_back), [0, 0, 0, 0, 1]);
}
