//! Measures operations that may get slower as data grows.

use std::time::Instant;

use futures::StreamExt as _;
use futures::stream as futures_stream;

use crate::Effort;
use crate::fast_agent::{fast_agent, stream};
use crate::report::{Row, Samples};
use crate::server::{Server, milliseconds};

const ROUNDS: usize = 20;

/// Measures the list of tasks, one session and a new task by the number of sessions.
pub(crate) async fn sessions(effort: Effort) -> Vec<Row> {
    let mut server = Server::start(&[("DOCKER_IMAGE", "claude-runner-bench-no-such-image")]).await;
    let mut rows = Vec::new();
    let mut there = 0;
    for wanted in effort.of(vec![1, 10], vec![1, 10, 100, 1_000, 10_000]) {
        let posts = futures_stream::iter(there..wanted).map(|number| {
            let server = &server;
            async move { server.enqueue(&format!("s{number}"), "say:hello").await }
        });
        posts.buffer_unordered(64).collect::<Vec<()>>().await;
        there = wanted;
        server.until("/health", |health| health["activeTasks"] == 0).await;
        for path in ["/tasks", "/session/s0"] {
            rows.push(Row::new(format!("{wanted} sessions: GET {path}"), "ms", timed(&server, path).await));
        }
        let mut posted = Samples::default();
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            server.enqueue("s0", "say:hello").await;
            posted.push(milliseconds(begin.elapsed()));
            server.until("/session/s0", |session| session["busy"] == false).await;
        }
        rows.push(Row::new(format!("{wanted} sessions: POST /task until accepted"), "ms", posted));
        rows.push(Row::one(format!("{wanted} sessions: start of the server"), "ms", server.restart().await));
    }
    server.stop().await;
    rows
}

/// Measures by the number of a task's events and by the size of the log.
pub(crate) async fn events(effort: Effort) -> Vec<Row> {
    let image = fast_agent().await;
    let mut server = Server::start(&[("DOCKER_IMAGE", image)]).await;
    let mut rows = Vec::new();
    server.task("s", &stream(1, 1)).await;
    for events in effort.of(vec![100, 1_000], vec![100, 1_000, 10_000, 100_000]) {
        let mut each = Samples::default();
        for _ in 0..effort.of(1, 5) {
            let begin = Instant::now();
            server.task("s", &stream(events, 16)).await;
            each.push(begin.elapsed().as_secs_f64() * 1e6 / events as f64);
        }
        rows.push(Row::new(format!("task of {events} events, for each"), "µs", each));
    }
    // The log contains each event twice: our event, and the agent's own line where the log includes it.
    for megabytes in effort.of(vec![1, 5], vec![10, 100, 1_000]) {
        while log_megabytes(&server) < f64::from(megabytes) {
            server.task("s", &stream(effort.of(1_000, 20_000), 1_000)).await;
        }
        rows.push(Row::one(format!("log of {megabytes} MB: start of the server"), "ms", server.restart().await));
        for path in ["/tasks", "/session/s"] {
            rows.push(Row::new(format!("log of {megabytes} MB: GET {path}"), "ms", timed(&server, path).await));
        }
    }
    server.stop().await;
    rows
}

async fn timed(server: &Server, path: &str) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        server.get(path).await;
        samples.push(milliseconds(begin.elapsed()));
    }
    samples
}

fn log_megabytes(server: &Server) -> f64 {
    let files = std::fs::read_dir(server.data_dir()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    files.sum::<u64>() as f64 / 1e6
}
