//! Measures the coordinator's memory while it is idle.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use crate::Effort;
use crate::report::{Bar, Row};
use crate::server::Server;
use crate::subscribers::Subscriber;

/// An idle session ends its worker after 30 seconds.
const UNTIL_WORKERS_RETIRED: Duration = Duration::from_secs(40);

/// The number of concurrent requests.
const AT_A_TIME: usize = 64;

/// Returns the number of sockets that this process and the server may open.
fn open_files() -> u32 {
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    u32::try_from(soft).unwrap_or(u32::MAX).saturating_sub(100)
}

pub(crate) async fn idle(effort: Effort) -> Vec<Row> {
    // The sessions have no containers: their tasks fail at once.
    let server = Server::start(&[("DOCKER_IMAGE", "claude-runner-bench-no-such-image")]).await;
    server.get("/health").await;
    let alone = server.resident();

    let subscribers = effort.of(50, 10_000.min(open_files()));
    let url = server.url("ws", "/stream/nobody");
    let mut open = Vec::new();
    for _ in 0..subscribers {
        open.push(Subscriber::open(&url).await);
    }
    let per_subscriber = (server.resident() - alone) / f64::from(subscribers);
    drop(open);
    server.stop().await;

    let server = Server::start(&[("DOCKER_IMAGE", "claude-runner-bench-no-such-image")]).await;
    let sessions = effort.of(50, 10_000);
    // A first task excludes allocations on first use from the measurement.
    server.enqueue("first", "say:hello").await;
    server.until("/health", |health| health["activeTasks"] == 0).await;
    let before = server.resident();
    let posts = stream::iter(0..sessions).map(|number| {
        let server = &server;
        async move { server.enqueue(&format!("s{number}"), "say:hello").await }
    });
    posts.buffer_unordered(AT_A_TIME).collect::<Vec<()>>().await;
    server.until("/health", |health| health["activeTasks"] == 0).await;
    let with_workers = (server.resident() - before) / f64::from(sessions);
    tokio::time::sleep(effort.of(Duration::ZERO, UNTIL_WORKERS_RETIRED)).await;
    let per_session = (server.resident() - before) / f64::from(sessions);
    server.stop().await;
    vec![
        Row::one("memory, idle", "MB", alone / 1024.0).bar(Bar::Most(20.0)),
        Row::one(format!("memory for each of {subscribers} idle subscribers"), "KB", per_subscriber)
            .bar(Bar::Most(16.0)),
        Row::one(format!("memory for each of {sessions} sessions that ran just now"), "KB", with_workers),
        Row::one(format!("memory for each of {sessions} idle sessions"), "KB", per_session).bar(Bar::Most(4.0)),
    ]
}
