//! The promises that must hold at the end of every run: no task is lost or runs twice, no event is lost or repeated, and nothing
//! remains in the engine. ARCHITECTURE.md, "Durability", explains how the code keeps them.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::StoredEvent;
use domain::task::{TaskId, TaskRecord, TaskStatus};
use serde_json::Value;

use crate::agent::answer;
use crate::board::{Given, Life, State, View};

/// The reasons for which the coordinator queues a task again. Any other `retry` is the agent's own.
const TAKEN_BACK: [&str; 3] = ["container_lost", "agent_hung", "agent_ended"];

/// Returns all broken promises. `records` are the tasks in the store.
pub(crate) fn broken(state: &State, records: &BTreeMap<TaskId, TaskRecord>) -> Vec<String> {
    let mut broken = state.violations.clone();
    let mut ends = BTreeMap::new();
    for life in state.lives.values() {
        if let Err(error) = check_life(life, records, &mut ends) {
            broken.push(format!("{} in {error}:\n{}", life.session, listing(&life.events)));
        }
    }
    for (number, task) in &state.tasks {
        if let Err(error) = check_task(task, state, records, &ends) {
            broken.push(format!("#{number} ({task}): {error}"));
        }
    }
    broken.extend(check_given(&state.given, state, records));
    broken.extend(
        state
            .views
            .iter()
            .filter(|view| !is_part_of_a_life(view, state))
            .map(|view| format!("a subscriber since {} saw something else:\n{}", view.since, listing(&view.events))),
    );
    broken
}

/// Checks that events have no gaps, tasks run one after another in order, and each life has one beginning and one end.
fn check_life(
    life: &Life,
    records: &BTreeMap<TaskId, TaskRecord>,
    ends: &mut BTreeMap<TaskId, String>,
) -> Result<(), String> {
    let mut queued: Vec<TaskId> = Vec::new();
    let mut started: BTreeMap<TaskId, u64> = BTreeMap::new();
    let mut newest_started = None;
    let mut running: Option<TaskId> = None;
    let mut texts: Vec<(TaskId, u64, String)> = Vec::new();
    for (event, expected) in life.events.iter().zip(1..) {
        let event: Value = serde_json::from_slice(&event.json).unwrap();
        let (seq, kind) = (event["seq"].as_u64().unwrap(), event["type"].as_str().unwrap());
        let here = |error: &str| Err(format!("event {seq} ({kind}): {error}"));
        if seq != expected {
            return here(&format!("number {expected} was next"));
        }
        let Some(task) = event["taskId"].as_str().map(|task| task.parse::<TaskId>().unwrap()) else { continue };
        if ends.contains_key(&task) {
            return here("its task had ended");
        }
        if kind == "task_queued" {
            queued.push(task);
            continue;
        }
        let Some(place) = queued.iter().position(|queued| *queued == task) else {
            return here("its task was not queued");
        };
        match kind {
            "task_start" => {
                if running.is_some() {
                    return here("another task was running");
                }
                if newest_started.is_some_and(|newest| place < newest) {
                    return here("its task was queued before one that started already");
                }
                newest_started = Some(place);
                started.insert(task.clone(), seq);
                running = Some(task);
            }
            "task_complete" | "task_failed" | "abort" => {
                let is_running = running.as_ref() == Some(&task);
                if kind == "task_complete" && !is_running {
                    return here("its task was not running");
                }
                if kind == "task_complete" {
                    let text: String = texts.iter().filter(|text| text.0 == task).map(|text| text.2.as_str()).collect();
                    if let Some(record) = records.get(&task).filter(|record| !record.request.message.is_empty())
                        && text != answer(&record.request.message)
                    {
                        return here(&format!("what was streamed is {text:?}"));
                    }
                }
                if is_running {
                    running = None;
                }
                ends.insert(task, kind.to_owned());
            }
            "retry" => {
                if let Some(from) = event["discardsFrom"].as_u64() {
                    if from < started.get(&task).copied().unwrap_or(u64::MAX) || from > seq {
                        return here(&format!("discardsFrom is {from}, which is not of this attempt"));
                    }
                    texts.retain(|(of, at, _)| *of != task || *at < from);
                }
                if TAKEN_BACK.contains(&event["reason"].as_str().unwrap()) {
                    running = None;
                }
            }
            "text" => {
                if running.as_ref() != Some(&task) {
                    return here("its task was not running");
                }
                texts.push((task, seq, event["text"].as_str().unwrap().to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that an accepted task has ended, and that all callers got the same record.
fn check_task(
    task: &TaskId,
    state: &State,
    records: &BTreeMap<TaskId, TaskRecord>,
    ends: &BTreeMap<TaskId, String>,
) -> Result<(), String> {
    let record = records.get(task).ok_or("it was accepted and is not in the store")?;
    if !record.status.is_final() {
        return Err(format!("it is {} in the end", record.status.as_str()));
    }
    let told = state.told.get(task).ok_or("its waiter never got an end")?;
    // Deleting a session removes the messages of its tasks.
    let stripped = record.request.message.is_empty();
    // A waiter gets the record without its texts, which only the store has.
    let same = told.without_texts() == record.without_texts()
        || stripped && (told.status, &told.failure) == (record.status, &record.failure);
    if !same {
        return Err(format!("the waiter was told {:?}, the store has {:?}", told.status, record.status));
    }
    let kind = match record.status {
        TaskStatus::Completed => "task_complete",
        TaskStatus::Failed => "task_failed",
        TaskStatus::Aborted => "abort",
        TaskStatus::Queued | TaskStatus::Running => unreachable!(),
    };
    // The end of a session that was deleted without a subscriber may be missing.
    match ends.get(task) {
        Some(end) if end != kind => Err(format!("it ended as {end}, the store has {kind}")),
        None if !stripped => Err("no event tells its end".to_owned()),
        Some(_) | None => check_answer(told, &record.request.message),
    }
}

/// `message`: empty where the session was deleted.
fn check_answer(record: &TaskRecord, message: &str) -> Result<(), String> {
    let answered = record.answer.as_ref().ok_or("it ended without an answer")?;
    let text = answered
        .response
        .clone()
        .or_else(|| Some(answered.output.as_ref()?["answer"].as_str()?.to_owned()))
        .unwrap_or_default();
    match record.status {
        TaskStatus::Completed if !message.is_empty() && text != answer(message) => {
            Err(format!("{message:?} was answered with {text:?}"))
        }
        TaskStatus::Completed if record.failure.is_some() => Err("it completed and has a failure".to_owned()),
        TaskStatus::Failed | TaskStatus::Aborted if record.failure.is_none() => {
            Err("it did not complete and nothing says why".to_owned())
        }
        _ => Ok(()),
    }
}

/// Checks that an agent got a message once, and that another agent got it only if a retry is allowed, under another id.
fn check_given(given: &[Given], state: &State, records: &BTreeMap<TaskId, TaskRecord>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut names = BTreeSet::new();
    let mut times: BTreeMap<usize, u32> = BTreeMap::new();
    for message in given {
        if !names.insert(&message.uuid) {
            broken
                .push(format!("#{} was given twice as {}, then to {}", message.task, message.uuid, message.container));
        }
        *times.entry(message.task).or_default() += 1;
    }
    for (number, times) in times {
        let Some(record) = state.tasks.get(&number).and_then(|task| records.get(task)) else { continue };
        if times > record.attempt + 1 || record.attempt > record.request.retry + 1 {
            broken.push(format!("#{number} was given {times} times in {} attempts", record.attempt + 1));
        }
    }
    broken
}

fn is_part_of_a_life(view: &View, state: &State) -> bool {
    view.events.is_empty()
        || state.lives.values().any(|life| {
            let since = usize::try_from(view.since).unwrap();
            life.events.get(since..).is_some_and(|events| {
                // The end of a coordinator may have cut off one of the two.
                let both = events.len().min(view.events.len());
                events[..both] == view.events[..both]
            })
        })
}

/// Returns a readable summary of events.
pub(crate) fn listing(events: &[StoredEvent]) -> String {
    let short = |event: &StoredEvent| {
        let event: Value = serde_json::from_slice(&event.json).unwrap();
        let fields = ["taskId", "text", "reason", "discardsFrom", "errorType", "error", "by"];
        let fields = fields.into_iter().filter(|field| !event[*field].is_null());
        let fields: Vec<String> = fields.map(|field| format!("{field}={}", event[field])).collect();
        format!("    {} {} {}", event["seq"], event["type"].as_str().unwrap(), fields.join(" "))
    };
    events.iter().map(short).collect::<Vec<_>>().join("\n")
}
