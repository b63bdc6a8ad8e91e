//! Abort, delete and reset at the same moment as new tasks, and SIGTERM at any moment.

use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use crate::bounds::{random, short_or_long};
use crate::check::Findings;
use crate::client::Work;
use crate::history::{AcceptedTask, History};
use crate::load::Load;
use crate::recovery;
use crate::row::Row;
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_delete_and_reset_race_with_new_tasks() {
    let rounds = short_or_long(9, 90);
    let mut random = random();
    let server = Setup::new().start().await;
    let (client, tracker) = (server.client(), TaskTracker::new());
    let mut findings = Findings::default();
    let mut tasks = 0;
    for round in 0..rounds {
        let session = format!("r{}", round % 3);
        // The tasks are posted at the same time, so no order is checked.
        let posting: Vec<_> = (0..4)
            .map(|number| {
                let (client, session) = (client.clone(), session.clone());
                let work = Work::slow(&format!("{round}-{number}"), 3).or(&["aborted", "deleted"]);
                let pause = Duration::from_millis(random.random_range(0..400));
                tracker.spawn(async move {
                    sleep(pause).await;
                    client.accept(&session, &work).await
                })
            })
            .collect();
        sleep(Duration::from_millis(random.random_range(0..600))).await;
        match round % 3 {
            0 => client.post(&format!("/task/{session}/abort")).await,
            1 => client.post(&format!("/session/{session}/reset")).await,
            _ => client.delete(&session).await,
        };
        let mut accepted: Vec<AcceptedTask> = Vec::new();
        for posted in posting {
            accepted.push(posted.await.unwrap());
        }
        for accepted in &accepted {
            client.ended(&accepted.task).await;
        }
        // The session accepts the next task after any of these requests.
        let after = client.accept(&session, &Work::slow(&format!("{round}-after"), 1)).await;
        client.ended(&after.task).await;
        accepted.push(after);
        tasks += accepted.len();
        let mut history = History { accepted, ..History::default() };
        history.deleted.extend((round % 3 == 2).then_some(session));
        check_round(&server, history, &mut findings).await;
    }
    Row { fault: "abort, reset and delete racing with POST", runs: rounds, tasks, findings, recovery: Vec::new() }
        .report();
    server.finish().await;
}

/// Checks each round separately, because deleting a session deletes its log.
async fn check_round(server: &crate::server::Server, mut history: History, findings: &mut Findings) {
    history.complete(server).await;
    // The tasks were accepted at the same time, in the order that the log shows. The log also contains the earlier rounds.
    let order = |history: &History, accepted: &AcceptedTask| {
        history
            .log(&accepted.session)
            .iter()
            .position(|event| event["type"] == "task_queued" && event["taskId"] == *accepted.task)
    };
    let mut accepted = std::mem::take(&mut history.accepted);
    accepted.sort_by_key(|accepted| order(&history, accepted));
    let ours: Vec<String> = accepted.iter().map(|accepted| accepted.task.clone()).collect();
    let first = accepted.iter().filter_map(|accepted| order(&history, accepted)).min().unwrap_or_default();
    for log in history.logs.values() {
        let others = log[first..].iter().filter(|event| event["type"] == "task_queued");
        let others = others.filter(|event| !ours.iter().any(|task| event["taskId"] == **task)).count();
        assert_eq!(others, 0, "a task that no caller got");
    }
    history.accepted = accepted;
    let mut found = Findings::of(&history);
    // The history does not contain the callers of the earlier rounds.
    found.tasks_doubled.retain(|sentence| !sentence.contains("no caller got"));
    findings.add(found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_told_to_stop_at_random() {
    let runs = short_or_long(6, 40);
    let mut random = random();
    let mut server = Setup::new().env("DRAIN_TIMEOUT_MS", 1000).start().await;
    // A load that does not end in time is stopped and reports that.
    let mut load = Load::start(&server, 4, |name, number| Work::slow(name, 10 + 10 * (number % 4)).or(&["aborted"]));
    load.warmed_up(1).await;
    let mut times = Vec::new();
    for run in 0..runs {
        server.set("DRAIN", if run % 2 == 0 { "handoff" } else { "finish" });
        sleep(Duration::from_millis(random.random_range(50..1000))).await;
        server.tally.collect(&server.model);
        let accepted = Timestamp::now();
        let begun = Instant::now();
        server.process.signal(Signal::SIGTERM);
        let status = server.process.ended().await;
        assert!(status.success(), "the server ended with {status}");
        eprintln!("run {run}: ended after {:?}", begun.elapsed());
        let started = Timestamp::now();
        server.start_again().await;
        times.push((accepted, started));
    }
    // A request may be cut off at any moment between the signal and the end of the server.
    let history = load.finish_with_faults(&server, times.iter().flat_map(|(accepted, gone)| [*accepted, *gone])).await;
    Row::of(
        "SIGTERM at random, `DRAIN=finish` and `DRAIN=handoff`",
        runs,
        &history,
        recovery::after_kills(&history, &times),
    )
    .report();
    server.finish().await;
}
