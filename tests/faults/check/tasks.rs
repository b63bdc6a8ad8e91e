//! Checks that every accepted task ends exactly once with a true reason, and that the tasks of a session start one at a time in the
//! order in which they were accepted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Findings;
use crate::history::{AcceptedTask, Completes, History, is_end, is_of};

pub(super) fn check(history: &History, findings: &mut Findings) {
    for accepted in &history.accepted {
        ends_once(history, accepted, findings);
    }
    for (session, log) in &history.logs {
        nobody_elses(history, session, log, findings);
        one_at_a_time(session, log, findings);
        in_order(history, session, log, findings);
    }
}

fn ends_once(history: &History, accepted: &AcceptedTask, findings: &mut Findings) {
    let task = &accepted.task;
    let Some(record) = history.records.get(task).filter(|record| record.is_object()) else {
        return findings.tasks_lost.push(format!("task {task} has no record"));
    };
    reason_is_true(accepted, record, findings);
    // Deleting a session deletes its log.
    let gone = record["errorType"] == "deleted" || history.deleted.contains(&accepted.session);
    if gone && !history.log(&accepted.session).iter().any(|event| is_of(event, task)) {
        return;
    }
    let ends: Vec<&Value> =
        history.log(&accepted.session).iter().filter(|event| is_of(event, task) && is_end(event)).collect();
    match ends[..] {
        [] => findings.tasks_lost.push(format!("task {task} has no end in the log, its record is {record}")),
        [end] => fits_record(task, end, record, findings),
        _ => findings.tasks_doubled.push(format!("task {task} ended {} times", ends.len())),
    }
}

fn reason_is_true(accepted: &AcceptedTask, record: &Value, findings: &mut Findings) {
    let (status, error) = (record["status"].as_str().unwrap_or_default(), record["errorType"].as_str());
    let fits = match (status, error) {
        ("completed", None) => !matches!(accepted.expected.completes, Completes::Never),
        ("failed" | "aborted", Some(error)) => accepted.expected.errors.contains(&error),
        ("queued" | "running", _) => {
            return findings.tasks_lost.push(format!("task {} is still {status}", accepted.task));
        }
        _ => false,
    };
    if !fits {
        let wanted = (&accepted.expected.completes, accepted.expected.errors);
        findings.wrong_reason.push(format!("{:?} was to end as {wanted:?}: {record}", accepted.message));
    }
}

fn fits_record(task: &str, end: &Value, record: &Value, findings: &mut Findings) {
    let status = match end["type"].as_str() {
        Some("task_complete") => "completed",
        Some("task_failed") => "failed",
        _ => "aborted",
    };
    if record["status"] != status || record["errorType"] != end["errorType"] {
        findings.wrong_reason.push(format!("task {task} ended with {end}, and its record is {record}"));
    }
}

/// Checks that a repeated request did not create a second task.
fn nobody_elses(history: &History, session: &str, log: &[Value], findings: &mut Findings) {
    let accepted: BTreeSet<&str> = history.accepted.iter().map(|accepted| accepted.task.as_str()).collect();
    let queued = log.iter().filter(|event| event["type"] == "task_queued").filter_map(|event| event["taskId"].as_str());
    for task in queued.filter(|task| !accepted.contains(task)) {
        findings.tasks_doubled.push(format!("session {session} has the task {task} that no caller got"));
    }
}

fn one_at_a_time(session: &str, log: &[Value], findings: &mut Findings) {
    let mut running: Option<&str> = None;
    let mut may_begin_again = false;
    for event in log {
        let task = event["taskId"].as_str();
        match event["type"].as_str() {
            Some("task_start") => {
                let again = running.is_some() && running == task && may_begin_again;
                if running.is_some() && !again {
                    findings.tasks_doubled.push(format!("session {session}: {event} while {running:?} runs"));
                }
                (running, may_begin_again) = (task, false);
            }
            // The coordinator sends this event, not the agent: the whole task starts again.
            Some("retry") if event["reason"] == "container_lost" || event["reason"] == "agent_hung" => {
                may_begin_again = true;
            }
            _ if is_end(event) && running == task => running = None,
            _ => {}
        }
    }
}

fn in_order(history: &History, session: &str, log: &[Value], findings: &mut Findings) {
    let places: BTreeMap<&str, usize> = history
        .accepted
        .iter()
        .filter(|accepted| accepted.session == *session)
        .enumerate()
        .map(|(place, accepted)| (accepted.task.as_str(), place))
        .collect();
    let mut last = None;
    for event in log.iter().filter(|event| event["type"] == "task_start") {
        let place = event["taskId"].as_str().and_then(|task| places.get(task).copied());
        if place < last {
            findings.tasks_doubled.push(format!("session {session}: out of turn: {event}"));
        }
        last = place.or(last);
    }
}
