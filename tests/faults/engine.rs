//! The container engine fails and recovers: stopped, killed, frozen, or with a full disk.

use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::bounds::{BOUND, PACE, short_or_long};
use crate::client::{Client, Work};
use crate::history::History;
use crate::load::Load;
use crate::own_engine::OwnEngine;
use crate::recovery;
use crate::row::Row;
use crate::server::Setup;

/// The way in which the engine fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outage {
    Stopped,
    Killed,
    Frozen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_goes_away_and_comes_back() {
    let runs = short_or_long(3, 15);
    let mut engine = OwnEngine::start().await;
    let server = Setup::new().env("DOCKER_HOST", engine.host()).start().await;
    let client = server.client();
    // An engine that ends stops its containers. A frozen engine does not.
    let mut load = Load::start(&server, 3, |name, number| {
        let work = Work::slow(name, 10 + 10 * (number % 3)).or(&["container_lost", "engine_unavailable"]);
        if number % 2 == 0 { work.with(json!({ "retry": 1 })) } else { work }
    });
    load.warmed_up(1).await;
    let mut times = Vec::new();
    for run in 0..runs {
        let outage = [Outage::Stopped, Outage::Killed, Outage::Frozen][run % 3];
        let away = Timestamp::now();
        match outage {
            Outage::Stopped => engine.signal(Signal::SIGTERM),
            Outage::Killed => engine.signal(Signal::SIGKILL),
            Outage::Frozen => engine.signal(Signal::SIGSTOP),
        }
        if outage != Outage::Frozen {
            engine.ended().await;
        }
        until_ready_is(&client, 503).await;
        // The session has no sandbox yet: its task waits or fails with the reason.
        let cold = Work::slow(&format!("cold{run}"), 2).or(&["engine_unavailable"]);
        let cold = client.accept(&format!("cold{run}"), &cold).await;
        match outage {
            Outage::Frozen => engine.signal(Signal::SIGCONT),
            Outage::Stopped | Outage::Killed => engine.start_again().await,
        }
        times.push((away, Timestamp::now()));
        until_ready_is(&client, 200).await;
        client.ended(&cold.task).await;
        // Each session accepts another task.
        for session in 0..3 {
            let work = Work::slow(&format!("after{run}s{session}"), 2);
            let accepted = client.accept(&format!("after{session}"), &work).await;
            let record = client.ended(&accepted.task).await;
            assert_eq!(record["status"], "completed", "after {outage:?}: {record}");
        }
        server.tally.collect(&server.model);
    }
    let history = load.finish_with_faults(&server, times.iter().flat_map(|(away, back)| [*away, *back])).await;
    Row::of("engine stopped, killed, frozen", runs, &history, recovery::after_kills(&history, &times)).report();
    server.finish().await;
    drop(engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_workspace_is_the_agents_own_affair() {
    let engine = OwnEngine::start().await;
    let server = Setup::new().env("DOCKER_HOST", engine.host()).start().await;
    let client = server.client();
    let mut history = History::default();
    let room = shell_count("df --output=avail -B1M", &engine.disk());
    eprintln!("{room} MiB of room in the workspace");
    let fill = Work::shell("fill", "head -c 100G /dev/zero > fill; echo filled").or(&[
        "exit_code",
        "container_lost",
        "stalled",
    ]);
    let errors = &["exit_code", "container_lost", "engine_unavailable", "stalled"];
    let full = Work::slow("full", 2).or(errors);
    let beside = Work::slow("beside", 2).or(errors);
    let clear = Work::shell("clear", "rm -f fill; echo cleared");
    for (session, work) in [("s", fill), ("s", full), ("t", beside), ("s", clear)] {
        let accepted = client.accept(session, &work).await;
        let record = client.ended(&accepted.task).await;
        eprintln!("{:?}: {} {}", accepted.message, record["status"], record["error"]);
        history.accepted.push(accepted);
    }
    for session in ["s", "t"] {
        let accepted = client.accept(session, &Work::slow(&format!("after-{session}"), 2)).await;
        client.ended(&accepted.task).await;
        history.accepted.push(accepted);
    }
    history.complete(&server).await;
    Row::of("disk of the workspace full, room again", 1, &history, Vec::new()).report();
    server.finish().await;
    drop(engine);
}

async fn until_ready_is(client: &Client, status: u16) {
    let begun = Instant::now();
    while client.status_of("/ready").await != Some(status) {
        assert!(begun.elapsed() < BOUND, "/ready does not become {status}");
        sleep(PACE).await;
    }
    eprintln!("/ready is {status} after {:?}", begun.elapsed());
}

/// Returns the number in the last line of a command's output for a path.
fn shell_count(command: &str, path: &std::path::Path) -> u64 {
    let output =
        std::process::Command::new("bash").args(["-c", &format!("{command} {}", path.display())]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().last().unwrap_or_default().trim().parse().unwrap()
}
