//! Misbehaving agents: each one fails at most its own task, and the session accepts the next task.

use serde_json::json;
use tokio::time::Instant;

use crate::bounds::short_or_long;
use crate::check::Findings;
use crate::client::Work;
use crate::history::History;
use crate::row::Row;
use crate::server::Setup;
use crate::support::image::TestImage;

pub(crate) const AGENT: &str = concat!(include_str!("../support/stand_in.sh"), include_str!("odd_agent.sh"));

/// The misbehaviour, and the `errorType`s that are true of it; none if the task completes.
const MISBEHAVIOURS: [(&str, &[&str]); 10] = [
    ("garbage", &["exit_code"]),
    ("bytes", &["exit_code"]),
    ("utf8", &["exit_code"]),
    ("half", &["exit_code"]),
    ("dies", &["exit_code"]),
    ("longline", &["exit_code"]),
    ("noisegigabyte", &["exit_code"]),
    ("gigabyte", &[]),
    ("memory", &["oom_killed"]),
    ("hangs", &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_misbehaves_fails_its_own_task_at_most() {
    let image = TestImage::with_agent("odd", AGENT, 0o755).await;
    let setup = Setup::new().env("DOCKER_IMAGE", &image.name).env("SANDBOX_MEMORY", "128m");
    let server = setup.env("STALL_TIMEOUT_MS", 2000).start().await;
    let client = server.client();
    let mut history = History::default();
    let mut recovery = Vec::new();
    let rounds = short_or_long(1, 5);
    for _ in 0..rounds {
        for (what, errors) in MISBEHAVIOURS {
            let what = if what == "gigabyte" { short_or_long("a tenth of a gigabyte", what) } else { what };
            let work = Work::of_another_agent(what);
            let work = if errors.is_empty() { work } else { work.fails(errors) };
            let begun = Instant::now();
            let accepted = client.accept("s", &work).await;
            client.ended(&accepted.task).await;
            eprintln!("{what}: ended after {:?}", begun.elapsed());
            history.accepted.push(accepted);
            let fault = Instant::now();
            let accepted = client.accept("s", &Work::of_another_agent("behave")).await;
            assert_eq!(client.ended(&accepted.task).await["response"], json!("fine"), "after {what}");
            history.accepted.push(accepted);
            recovery.push(fault.elapsed());
        }
    }
    // The limit of one line bounds the memory that an agent's output can take.
    let peak = server.process.kibibytes("VmHWM");
    assert!(peak < 200 * 1024, "the server needed {peak} KiB");
    history.complete(&server).await;
    Row {
        fault: "agent prints garbage, bytes, half a character, 64 MiB in a line, 1 GB in all; dies; hangs after `result`",
        runs: rounds * MISBEHAVIOURS.len(),
        tasks: history.accepted.len(),
        findings: Findings::of(&history),
        recovery,
    }
    .report();
    server.finish().await;
    image.remove().await;
}
