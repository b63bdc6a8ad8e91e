//! The coordinator is killed at random moments.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::bounds::{random, short_or_long};
use crate::client::Work;
use crate::load::Load;
use crate::recovery;
use crate::row::Row;
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_killed_at_random_while_sessions_stream() {
    let (kills, sessions) = short_or_long((20, 8), (200, 20));
    let mut random = random();
    let mut server = Setup::new().start().await;
    let mut load = Load::start(&server, sessions, |name, number| match number % 3 {
        0 => Work::slow(name, 5 + 7 * (number % 4)),
        1 => Work::tool(name),
        _ => Work::long(name, 200),
    });
    load.warmed_up(1).await;
    let mut times = Vec::new();
    for _ in 0..kills {
        sleep(Duration::from_millis(random.random_range(20..1200))).await;
        server.tally.collect(&server.model);
        let killed = Timestamp::now();
        server.kill().await;
        let started = Timestamp::now();
        server.start_again().await;
        times.push((killed, started));
    }
    let mut history = load.finish_with_faults(&server, times.iter().map(|(killed, _)| *killed)).await;
    history.faults.sort();
    Row::of(
        "`kill -9` of the coordinator while sessions stream",
        kills,
        &history,
        recovery::after_kills(&history, &times),
    )
    .report();
    server.finish().await;
}

/// Runs only with FAULTS_LENGTH=long: fifty containers take 7 GB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_sessions_are_taken_over_after_a_kill() {
    let sessions = short_or_long(5, 50);
    let mut server = Setup::new().env("MAX_SANDBOXES", sessions + 10).start().await;
    let client = server.client();
    let mut history = crate::history::History::default();
    for session in 0..sessions {
        let name = format!("s{session}");
        // The task ends long after all tasks run, and no model request of it is cut off.
        let work = Work::shell(&name, "until [ -e go ]; do sleep 0.2; done; echo went").or(&[]);
        history.accepted.push(client.accept(&name, &work).await);
        until_running(&client, &name).await;
    }
    server.kill().await;
    let start = Instant::now();
    server.start_again().await;
    let listening = start.elapsed();
    assert!(
        server.process.says("took over the sandbox of the previous server", sessions).await,
        "{}",
        server.process.log()
    );
    let all = start.elapsed();
    eprintln!("{sessions} running sessions: listening after {listening:?}, all taken over after {all:?}");
    server.docker().in_each(&server.containers().await, "touch /workspace/go").await;
    for accepted in &history.accepted {
        client.ended(&accepted.task).await;
    }
    history.complete(&server).await;
    Row::of(
        "`kill -9` and all running sessions reattached, from the start of the process",
        sessions,
        &history,
        vec![all],
    )
    .report();
    server.finish().await;
}

/// Waits until the session's tool call runs.
async fn until_running(client: &crate::client::Client, session: &str) {
    let (mut socket, _) = crate::follow::open(client, session, 0).await.expect("the stream opens");
    let running = async {
        while crate::follow::next(&mut socket).await.is_some_and(|event: Value| event["type"] != "tool_start") {}
    };
    crate::bounds::within("the tool runs", running).await;
}
