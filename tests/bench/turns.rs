//! Turns: a follow-up, the first of a session, and three in a row, each compared with the same turn by hand.

use std::time::{Duration, Instant};

use crate::Effort;
use crate::bare::{BareCli, container_per_task as by_docker_run};
use crate::report::{Bar, Row, Samples};
use crate::server::{Server, milliseconds};
use crate::subscribers::Subscriber;

const MESSAGE: &str = "say:hello";

/// Measures from POST to answer on a session with an idle agent, and the same turn of the same process by hand.
pub(crate) async fn follow_up(effort: Effort) -> Vec<Row> {
    let server = Server::start(&[]).await;
    let mut bare = BareCli::start(&server.model.url(), "follow-up").await;
    server.task("s", MESSAGE).await;
    bare.turn(MESSAGE).await;
    let (mut ours, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..effort.of(3, 200) {
        let begin = Instant::now();
        server.task("s", MESSAGE).await;
        ours.push(milliseconds(begin.elapsed()));
        reference.push(bare.turn(MESSAGE).await.whole);
    }
    bare.end().await;
    server.stop().await;
    vec![
        Row::new("follow-up task, POST to answer", "ms", ours)
            .against("bare CLI process", reference)
            .bar(Bar::MostMore(5.0)),
    ]
}

/// Measures from POST to the first `text` event of a new session, with and without a warm sandbox, and by hand.
pub(crate) async fn new_session(effort: Effort) -> Vec<Row> {
    let warm_server = Server::start(&[("WARM_SANDBOXES", "1")]).await;
    let cold_server = Server::start(&[]).await;
    let (mut warm, mut cold) = (Samples::default(), Samples::default());
    let (mut on_host, mut apart, mut held) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..effort.of(2, 30) {
        warm_and_quiet(&warm_server).await;
        warm.push(first_text(&warm_server, round).await);
        // The next warm sandbox is created first, because its creation would disturb the measurement.
        warm_and_quiet(&warm_server).await;
        cold.push(first_text(&cold_server, round).await);
        let begin = Instant::now();
        let mut bare = BareCli::start(&warm_server.model.url(), "new").await;
        let until_ready = milliseconds(begin.elapsed());
        let first_text = bare.turn(MESSAGE).await.first_text;
        bare.end().await;
        on_host.push(until_ready + first_text);
        let begin = Instant::now();
        let bare = BareCli::start_apart("apart").await;
        apart.push(milliseconds(begin.elapsed()) + first_text);
        bare.end().await;
        let begin = Instant::now();
        let bare = BareCli::start_held("held").await;
        held.push(milliseconds(begin.elapsed()) + first_text);
        bare.end().await;
    }
    warm_server.stop().await;
    cold_server.stop().await;
    let by_hand = "docker run, CLI start, first turn";
    let cold_row = |reference, samples| {
        Row::new("new session, cold, POST to first text", "ms", cold.clone()).against(reference, samples)
    };
    vec![
        Row::new("new session, warm, POST to first text", "ms", warm)
            .against(by_hand, apart.clone())
            .bar(Bar::Most(200.0)),
        cold_row(by_hand, apart).bar(Bar::MostRatio(1.1)),
        cold_row("the same, held as a sandbox is", held),
        cold_row("the same, on the host's network", on_host),
    ]
}

/// Waits until a sandbox is ready and its creation uses no more CPU.
async fn warm_and_quiet(server: &Server) {
    server.until("/health", |health| health["sandboxes"]["warm"] == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}

async fn first_text(server: &Server, round: usize) -> f64 {
    let session = format!("s{round}");
    let mut subscriber = Subscriber::open(&server.url("ws", &format!("/stream/{session}"))).await;
    let begin = Instant::now();
    let text = async {
        subscriber.until(|event| event.contains("\"type\":\"text\"")).await;
        milliseconds(begin.elapsed())
    };
    let (_, elapsed) = tokio::join!(server.task(&session, MESSAGE), text);
    server.delete_session(&session).await;
    elapsed
}

/// Measures three tasks of one conversation.
pub(crate) async fn container_per_task(effort: Effort) -> Vec<Row> {
    let server = Server::start(&[("WARM_SANDBOXES", "1")]).await;
    let messages = ["say:one", "say:two", "say:three"];
    let (mut ours, mut reference) = (Samples::default(), Samples::default());
    for round in 0..effort.of(1, 10) {
        warm_and_quiet(&server).await;
        let session = format!("s{round}");
        let begin = Instant::now();
        for message in messages {
            server.task(&session, message).await;
        }
        ours.push(milliseconds(begin.elapsed()));
        warm_and_quiet(&server).await;
        let begin = Instant::now();
        by_docker_run(&server.model.url(), &messages).await;
        reference.push(milliseconds(begin.elapsed()));
        server.delete_session(&session).await;
    }
    server.stop().await;
    vec![Row::new("three tasks of a new session", "ms", ours).against("docker run for each", reference)]
}
