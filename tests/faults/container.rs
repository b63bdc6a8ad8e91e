//! The container is killed, runs out of memory, or is filled with processes.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::json;
use tokio::time::sleep;

use crate::bounds::{random, short_or_long};
use crate::client::Work;
use crate::history::History;
use crate::load::Load;
use crate::recovery;
use crate::row::Row;
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_killed_at_random() {
    let (kills, sessions) = short_or_long((6, 3), (60, 6));
    let mut random = random();
    let server = Setup::new().start().await;
    let mut load = Load::start(&server, sessions, |name, number| {
        let work = Work::slow(name, 10 + 10 * (number % 3)).or(&["container_lost"]);
        if number % 2 == 0 { work.with(json!({ "retry": 1 })) } else { work }
    });
    load.warmed_up(1).await;
    let mut times = Vec::new();
    for _ in 0..kills {
        sleep(Duration::from_millis(random.random_range(100..2000))).await;
        let containers = server.containers().await;
        let Some(container) = containers.get(random.random_range(0..containers.len().max(1))) else { continue };
        let killed = Timestamp::now();
        // An earlier kill may have removed the container.
        server.docker().try_run(&["kill", container]).await;
        times.push((killed, Timestamp::now()));
        server.tally.collect(&server.model);
    }
    let history = load.finish_with_faults(&server, times.iter().map(|(killed, _)| *killed)).await;
    Row::of("container killed, with and without `retry`", kills, &history, recovery::after_kills(&history, &times))
        .report();
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_runs_out_of_memory_is_the_agents_own_affair() {
    let runs = short_or_long(2, 20);
    let server = Setup::new().env("SANDBOX_MEMORY", "512m").start().await;
    let client = server.client();
    let mut history = History::default();
    for run in 0..runs {
        // The kernel chooses the process that it kills. That is nearly always the largest one, the child.
        let work = Work::shell(&format!("m{run}"), "tail /dev/zero; echo over").or(&["oom_killed"]);
        for work in [work, Work::slow(&format!("n{run}"), 3)] {
            let accepted = client.accept("s", &work).await;
            client.ended(&accepted.task).await;
            history.accepted.push(accepted);
        }
    }
    history.complete(&server).await;
    Row::of("out of memory in a child of the agent", runs, &history, Vec::new()).report();
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_bomb_does_not_reach_the_sessions_beside_it() {
    let healthy = short_or_long(3, 7);
    let server = Setup::new().env("SANDBOX_PIDS", 128).env("SANDBOX_CPUS", "0.5").start().await;
    let client = server.client();
    let mut load = Load::start(&server, healthy, |name, _| Work::slow(name, 10));
    load.warmed_up(1).await;
    // The task is aborted at the end, however it behaves.
    let errors = &["aborted", "exit_code", "oom_killed", "stalled", "timeout"];
    let bomb = Work::shell("bomb", ":(){ :|:& };:; sleep 3; echo survived").or(errors);
    let bomb = client.accept("bomb", &bomb.with(json!({ "timeoutMs": 30_000 }))).await;
    // While the fork bomb runs, each other session ends three more tasks.
    load.warmed_up(4).await;
    client.post("/task/bomb/abort").await;
    client.ended(&bomb.task).await;
    let mut history = load.finish(&server).await;
    history.accepted.push(bomb);
    let after = client.accept("bomb", &Work::slow("after", 3)).await;
    client.ended(&after.task).await;
    history.accepted.push(after);
    history.logs.remove("bomb");
    history.complete(&server).await;
    Row::of("fork bomb beside healthy sessions", 1, &history, Vec::new()).report();
    server.finish().await;
}
