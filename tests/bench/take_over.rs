//! Measures how long the sessions of a killed coordinator have none.

use std::time::Instant;

use futures::future::join_all;

use crate::Effort;
use crate::fast_agent::fast_agent;
use crate::report::{Bar, Row, Samples};
use crate::server::{Server, milliseconds};
use crate::subscribers::Subscriber;

/// Measures from the start of the next process until each running session has sent a new event to a subscriber. The agents write
/// little, because with two of them per processor they would dominate the measurement.
pub(crate) async fn take_over(effort: Effort) -> Vec<Row> {
    let image = fast_agent().await;
    let sessions = effort.of(3, 50);
    // The limit reserves memory, and these agents need only a few MB each.
    let mut server = Server::start(&[("DOCKER_IMAGE", image), ("SANDBOX_MEMORY", "128m")]).await;
    let names: Vec<String> = (0..sessions).map(|number| format!("s{number}")).collect();
    for name in &names {
        let mut subscriber = Subscriber::open(&server.url("ws", &format!("/stream/{name}"))).await;
        server.enqueue(name, "tick").await;
        subscriber.until(is_text).await;
    }
    let (mut listening, mut all) = (Samples::default(), Samples::default());
    for _ in 0..effort.of(1, 5) {
        let begin = Instant::now();
        listening.push(server.kill_and_restart().await);
        join_all(names.iter().map(async |name| {
            let mut subscriber = Subscriber::open(&server.url("ws", &format!("/stream/{name}"))).await;
            subscriber.until(is_text).await;
        }))
        .await;
        all.push(milliseconds(begin.elapsed()));
    }
    for name in &names {
        server.delete_session(name).await;
    }
    server.stop().await;
    vec![
        Row::new(format!("`kill -9` with {sessions} running sessions, until it listens"), "ms", listening),
        Row::new(format!("`kill -9` with {sessions} running sessions, until each publishes more"), "ms", all)
            .bar(Bar::Most(2000.0)),
    ]
}

fn is_text(event: &str) -> bool {
    event.contains("\"type\":\"text\"")
}
