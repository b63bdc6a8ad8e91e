//! Subscribers that stall, and subscribers that disconnect and reconnect.

use futures::future::join_all;
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::bounds::{random, short_or_long, within};
use crate::check::Findings;
use crate::client::{Client, Work};
use crate::follow::{next, open};
use crate::history::{Connection, Follower, History, is_end, seq};
use crate::load::Load;
use crate::odd_agent::AGENT;
use crate::row::Row;
use crate::server::Setup;
use crate::support::image::TestImage;

const STALLED: usize = 100;
/// The memory that a stalled subscriber may take.
const STALLED_KIBIBYTES: u64 = 2 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_subscribers_cost_little_and_hold_up_nobody() {
    // Each event has 1 KB.
    let events = short_or_long(20_000, 200_000);
    let image = TestImage::with_agent("stream", AGENT, 0o755).await;
    let server = Setup::new().env("DOCKER_IMAGE", &image.name).start().await;
    let client = server.client();
    let first = client.accept("s", &Work::of_another_agent("behave")).await;
    client.ended(&first.task).await;
    let before = server.process.kibibytes("VmRSS");

    let stalled = join_all((0..STALLED).map(|_| open(&client, "s", 0))).await;
    let (mut fast, _) = open(&client, "s", 0).await.expect("the stream opens");
    let begun = Instant::now();
    let accepted = client.accept("s", &Work::of_another_agent(&format!("stream:{events}"))).await;
    let (mut findings, mut last, mut texts, mut peak) = (Findings::default(), 0, 0, 0);
    loop {
        let event = within("the next event", next(&mut fast)).await.expect("the fast subscriber is not cut off");
        match seq(&event) {
            Some(seq) if seq == last + 1 => {}
            other => findings.events_lost.push(format!("{other:?} comes after {last}")),
        }
        last = seq(&event).unwrap_or(last);
        texts += usize::from(event["type"] == "text");
        if last % 1000 == 0 {
            peak = peak.max(server.process.kibibytes("VmRSS"));
        }
        if is_end(&event) && event["taskId"] == *accepted.task {
            break;
        }
    }
    let elapsed = begun.elapsed();
    peak = peak.max(server.process.kibibytes("VmRSS"));
    if texts != events {
        findings.events_lost.push(format!("{texts} of {events} text events came"));
    }
    let grown = peak.saturating_sub(before);
    eprintln!(
        "{events} events of 1 KB in {elapsed:?} beside {STALLED} stalled subscribers; memory grew by {grown} KiB"
    );
    assert!(grown <= STALLED as u64 * STALLED_KIBIBYTES, "memory grew by {grown} KiB");
    assert_eq!(stalled.iter().filter(|stalled| stalled.is_some()).count(), STALLED);
    drop(stalled);
    Row {
        fault: "100 stalled subscribers beside a fast one during a large stream",
        runs: STALLED,
        tasks: 1,
        findings,
        recovery: Vec::new(),
    }
    .report();
    server.finish().await;
    image.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_come_and_go_end_with_the_same_sequence() {
    let (subscribers, reconnections) = short_or_long((10, 20), (20, 50));
    let mut random = random();
    let server = Setup::new().start().await;
    let load = Load::start(&server, 1, |name, number| match number % 2 {
        0 => Work::slow(name, 20),
        _ => Work::long(name, 500),
    });
    let followers = (0..subscribers).map(|_| {
        let random = StdRng::seed_from_u64(random.random());
        come_and_go(server.client(), "s0".to_owned(), reconnections, random)
    });
    let followers = join_all(followers).await;
    let mut history = load.finish(&server).await;
    // Each follower reads the remaining events.
    for mut follower in followers {
        let end = history.log("s0").last().and_then(seq).unwrap_or_default();
        let (mut socket, _) = open(&server.client(), "s0", follower.last_seq()).await.expect("the stream opens");
        let mut rest = Connection { since: follower.last_seq(), events: Vec::new() };
        while rest.events.last().and_then(seq).unwrap_or(rest.since) < end {
            rest.events.push(within("the rest of the log", next(&mut socket)).await.expect("the stream continues"));
        }
        follower.connections.push(rest);
        history.followers.push(follower);
    }
    Row::of("subscribers that reconnect at random", subscribers * reconnections, &history, Vec::new()).report();
    server.finish().await;
}

/// Disconnects after a random number of events, each time.
async fn come_and_go(client: Client, session: String, reconnections: usize, mut random: StdRng) -> Follower {
    let mut follower = Follower { session, connections: Vec::new() };
    for _ in 0..reconnections {
        let since = follower.last_seq();
        let (mut socket, _) = open(&client, &follower.session, since).await.expect("the stream opens");
        let mut events: Vec<Value> = Vec::new();
        for _ in 0..random.random_range(0..40) {
            events.push(within("an event", next(&mut socket)).await.expect("the stream continues"));
        }
        follower.connections.push(Connection { since, events });
    }
    follower
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_requests_during_a_kill_are_one_task() {
    const EQUAL: usize = 100;
    let runs = short_or_long(2, 20);
    let mut random = random();
    let mut server = Setup::new().start().await;
    let (mut history, tracker) = (History::default(), TaskTracker::new());
    for run in 0..runs {
        let (work, key) = (Work::slow(&format!("k{run}"), 10), format!("key {run}"));
        let (sender, mut answered) = watch::channel(0_usize);
        let asking: Vec<_> = (0..EQUAL)
            .map(|_| {
                let (client, work, key, sender) = (server.client(), work.clone(), key.clone(), sender.clone());
                tracker.spawn(async move {
                    let answer = client.submit("s", &work, &key).await;
                    sender.send_modify(|answered| *answered += 1);
                    answer
                })
            })
            .collect();
        // This caller waits for the end and reconnects when it is cut off.
        let waiting = {
            let (client, work, key) = (server.client(), work.clone(), key.clone());
            tracker.spawn(async move { client.answer("s", &work, &key).await })
        };
        // Some callers have their answer, and others are still sending requests.
        let some = random.random_range(0..EQUAL);
        answered.wait_for(|answered| *answered >= some).await.unwrap();
        history.faults.push(jiff::Timestamp::now());
        server.kill().await;
        server.start_again().await;
        let answers: Vec<_> = join_all(asking).await.into_iter().map(Result::unwrap).collect();
        let accepted = work.accepted("s", &answers[0]);
        for answer in answers {
            assert_eq!((answer.status.as_u16(), &answer.body["taskId"]), (202, &Value::from(accepted.task.clone())));
        }
        let answer = waiting.await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["taskId"]), (200, &Value::from(accepted.task.clone())));
        assert_eq!(server.client().ended(&accepted.task).await["response"], answer.body["response"]);
        history.accepted.push(accepted);
    }
    history.complete(&server).await;
    Row::of("100 equal POSTs under one `Idempotency-Key` during `kill -9`", runs, &history, Vec::new()).report();
    server.finish().await;
}
