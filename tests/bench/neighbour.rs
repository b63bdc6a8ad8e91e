//! The tasks of one key while another key attacks the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;

use crate::Effort;
use crate::report::{Bar, Row, Samples};
use crate::server::{Server, milliseconds};

const ADMIN: &str = "0123456789abcdef0123456789abcdef";
const SESSION: &str = "neighbour";
/// The time between two tasks. The tasks are paced because the measured caller is one of many.
const PACE: Duration = Duration::from_millis(250);

pub(crate) async fn neighbour(effort: Effort) -> Vec<Row> {
    // A host that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let settings = [
        ("API_KEYS", ADMIN),
        ("RATE_LIMIT", "6000"),
        ("WEBHOOK_ALLOW", silent.as_str()),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let server = Server::start(&settings).await;
    let key = server.make_key(&["--scope", "submit", "--sessions", "hostile"]).await;
    server.task(SESSION, "say:hello").await;
    let mut usual = Samples::default();
    tasks(&server, &mut usual, effort.of(2, 60), &AtomicBool::new(false)).await;

    let seconds = effort.of("5", "60");
    let mut attacker = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe().unwrap())
        .args(["--attack", server.address(), &key, &silent, seconds])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(attacker.stdout.take().unwrap());
    // The attacker fills its queues first.
    let begun = tokio::task::spawn_blocking(move || said.read_line(&mut String::new()).map(|_| said));
    let _said = begun.await.unwrap().unwrap();
    let over = AtomicBool::new(false);
    let mut attacked = Samples::default();
    let attack = async {
        let output = tokio::task::spawn_blocking(move || attacker.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "the attacker ended early");
        over.store(true, Ordering::Relaxed);
    };
    let memory = async {
        let mut peak = 0_f64;
        while !over.load(Ordering::Relaxed) {
            peak = peak.max(server.resident());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        peak
    };
    let ((), peak, ()) = tokio::join!(attack, memory, tasks(&server, &mut attacked, usize::MAX, &over));
    tasks(&server, &mut usual, effort.of(2, 60), &AtomicBool::new(false)).await;

    let done = 1 + usual.0.len() + attacked.0.len();
    let recorded = server.get(&format!("/session/{SESSION}")).await["turns"].as_u64();
    assert_eq!(recorded, Some(done as u64), "a task was lost or doubled");
    server.stop().await;
    let slowest = attacked.quantile(1.0);
    vec![
        Row::new("follow-up task while another key does its worst", "ms", attacked)
            .against("without the other key", usual)
            .bar(Bar::MostRatio(2.0)),
        Row::one("the slowest of these", "ms", slowest),
        Row::one("memory while a key does its worst, peak", "MB", peak * 1_024.0 / 1e6).bar(Bar::Most(256.0)),
    ]
}

/// Runs tasks until there are `count`, or until `over`.
async fn tasks(server: &Server, took: &mut Samples, count: usize, over: &AtomicBool) {
    let wanted = took.0.len().saturating_add(count);
    while took.0.len() < wanted && !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let answer: Value = server.task(SESSION, "say:hello").await;
        took.push(milliseconds(begin.elapsed()));
        assert_eq!(answer["response"], "hello", "{answer:#}");
        tokio::time::sleep(PACE).await;
    }
}
