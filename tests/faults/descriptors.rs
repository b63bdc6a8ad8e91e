//! The server runs out of file descriptors.

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::bounds::{BOUND, PACE, short_or_long};
use crate::check::Findings;
use crate::client::Work;
use crate::follow::open;
use crate::history::History;
use crate::row::Row;
use crate::server::Setup;

const DESCRIPTORS: usize = 96;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_file_descriptors_heals() {
    let runs = short_or_long(2, 20);
    let command = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"");
    let server = Setup::new().by_shell(&command).start().await;
    let client = server.client();
    let mut history = History::default();
    let mut recovery = Vec::new();
    for run in 0..runs {
        history.accepted.push(client.accept("s", &Work::slow(&format!("d{run}a"), 20)).await);
        // A container that starts in the meantime may fail for lack of descriptors.
        let cold = Work::slow(&format!("d{run}b"), 3).or(&["engine_unavailable", "container_lost", "exit_code"]);
        history.accepted.push(client.accept(&format!("cold{run}"), &cold).await);
        let connections: Vec<_> =
            (0..2 * DESCRIPTORS).map(|_| std::net::TcpStream::connect(address(&client))).collect();
        let streams = join_all((0..4).map(|_| tokio::time::timeout(PACE * 20, open(&client, "s", 0)))).await;
        drop((connections, streams));
        let begun = Instant::now();
        while client.status_of("/health").await != Some(200) {
            assert!(begun.elapsed() < BOUND, "the server does not heal");
            sleep(PACE).await;
        }
        recovery.push(begun.elapsed());
        let accepted = client.accept("s", &Work::slow(&format!("d{run}c"), 2)).await;
        client.ended(&accepted.task).await;
        history.accepted.push(accepted);
        for accepted in &history.accepted {
            client.ended(&accepted.task).await;
        }
    }
    history.complete(&server).await;
    Row {
        fault: "no file descriptor left (EMFILE)",
        runs,
        tasks: history.accepted.len(),
        findings: Findings::of(&history),
        recovery,
    }
    .report();
    server.finish().await;
}

fn address(client: &crate::client::Client) -> String {
    client.url("", "").trim_start_matches("://").to_owned()
}
