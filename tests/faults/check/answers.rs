//! Checks that the text of a completed task appears exactly once, without the text that `retry` discards, and that the agent
//! receives a message at most once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::Findings;
use crate::history::{AcceptedTask, Completes, History, is_end, is_of, seq, time_of};

/// The number of a task's events shown when its text is wrong.
const MAX_SHOWN: usize = 60;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut base = BTreeMap::<&str, usize>::new();
    for accepted in &history.accepted {
        *base.entry(&accepted.message).or_default() += 1;
    }
    for accepted in &history.accepted {
        let log = history.log(&accepted.session);
        text_is_published_once(accepted, log, findings);
        // The model's log cannot distinguish messages that were sent as several tasks.
        if base.get(accepted.message.as_str()) == Some(&1) {
            asked_once(history, accepted, log, findings);
        }
    }
}

fn text_is_published_once(accepted: &AcceptedTask, log: &[Value], findings: &mut Findings) {
    let Completes::WithText(expected) = &accepted.expected.completes else { return };
    if !log.iter().any(|event| is_of(event, &accepted.task) && event["type"] == "task_complete") {
        return;
    }
    let text = text_of(&accepted.task, log);
    if text == *expected {
        return;
    }
    let events: Vec<&Value> = log.iter().filter(|event| is_of(event, &accepted.task)).take(MAX_SHOWN).collect();
    let sentence =
        format!("{:?} was answered with {expected:?}, and its events say {text:?}: {events:?}", accepted.message);
    if text.len() > expected.len() {
        findings.events_doubled.push(sentence);
    } else {
        findings.events_lost.push(sentence);
    }
}

/// Returns the text of a task's events without what `retry.discardsFrom` discards.
pub(crate) fn text_of(task: &str, log: &[Value]) -> String {
    let mut pieces: Vec<(u64, &str)> = Vec::new();
    for event in log.iter().filter(|event| is_of(event, task)) {
        match (event["type"].as_str(), seq(event)) {
            (Some("text"), Some(seq)) if event["parentToolUseId"].is_null() => {
                pieces.push((seq, event["text"].as_str().unwrap_or_default()));
            }
            (Some("retry"), _) => {
                if let Some(from) = event["discardsFrom"].as_u64() {
                    pieces.retain(|(seq, _)| *seq < from);
                }
            }
            _ => {}
        }
    }
    pieces.into_iter().map(|(_, text)| text).collect()
}

/// Checks that the model got at most one extra request for each fault that may have cut one off while the task ran.
fn asked_once(history: &History, accepted: &AcceptedTask, log: &[Value], findings: &mut Findings) {
    let Some(requests) = accepted.expected.requests else { return };
    let asked = history.asked.get(&accepted.message).copied().unwrap_or_default();
    let of_task = || log.iter().filter(|event| is_of(event, &accepted.task));
    let started = of_task().find(|event| event["type"] == "task_start").and_then(time_of);
    let ended = of_task().find(|event| is_end(event)).and_then(time_of);
    // Deleting a session deletes its log.
    let (Some(started), Some(ended)) = (started, ended) else { return };
    let cuts = cuts_within(&history.faults, started, ended);
    // A task that starts again sends its request again.
    let attempts = of_task().filter(|event| event["type"] == "task_start").count().max(1);
    if asked > requests * attempts + cuts {
        let sentence = format!("{:?} was asked {asked} times of the model, with {cuts} cuts", accepted.message);
        findings.tasks_doubled.push(sentence);
    }
}

fn cuts_within(faults: &[Timestamp], started: Timestamp, ended: Timestamp) -> usize {
    faults.iter().filter(|at| (started..=ended).contains(at)).count()
}
