//! One agent at full speed with its subscribers, compared with a bare loop that sends the same bytes.

use std::process::Stdio;
use std::time::{Instant, SystemTime};

use futures::future::join_all;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::task::TaskTracker;

use crate::Effort;
use crate::fast_agent::{fast_agent, stream};
use crate::report::{Bar, Row, Samples};
use crate::server::{Server, cpu_seconds};
use crate::subscribers::Subscriber;

/// The size of one event's text, like the pieces of a model's answer.
const TEXT_BYTES: usize = 16;

/// The delay of one in this many events is measured.
const LOOK_AT: usize = 64;

/// The measurements of all subscribers of one task.
struct Seen {
    events_per_second: f64,
    /// Whole milliseconds from the event's creation.
    delays: Samples,
    cpu_microseconds_per_event: f64,
}

pub(crate) async fn fan_out(effort: Effort) -> Vec<Row> {
    let server = Server::start(&[("DOCKER_IMAGE", fast_agent().await)]).await;
    let mut rows = Vec::new();
    // More subscribers get fewer events, so that the number of delivered events stays about the same.
    for (subscribers, events) in
        effort.of(vec![(1, 1_000), (10, 200)], vec![(1, 200_000), (10, 100_000), (100, 20_000), (1_000, 4_000)])
    {
        let (mut ours, mut reference) = (Samples::default(), Samples::default());
        let (mut our_cpu, mut reference_cpu) = (Samples::default(), Samples::default());
        let (mut median_delay, mut late) = (Samples::default(), Samples::default());
        for round in 0..effort.of(1, 5) {
            let session = format!("s{subscribers}-{round}");
            server.task(&session, &stream(1, 1)).await;
            let seen = watch(&server, &session, subscribers, events).await;
            ours.push(seen.events_per_second);
            our_cpu.push(seen.cpu_microseconds_per_event);
            median_delay.push(seen.delays.median());
            late.push(seen.delays.quantile(0.99));
            let (rate, cpu) = bare_loop(&server, &session, subscribers).await;
            reference.push(rate);
            reference_cpu.push(cpu);
            let gone = server.http.delete(server.url("http", &format!("/session/{session}"))).send().await.unwrap();
            gone.error_for_status().unwrap();
        }
        let name = "bare WebSocket loop";
        let rate = Row::new(format!("fan-out, {subscribers} subscribers, delivered"), "events/s", ours)
            .against(name, reference);
        rows.push(match subscribers {
            1 => rate.bar(Bar::Least(100_000.0)),
            100.. => rate.bar(Bar::LeastRatio(0.8)),
            _ => rate,
        });
        rows.push(Row::new(format!("fan-out, {subscribers} subscribers, median delay"), "ms", median_delay));
        let late = Row::new(format!("fan-out, {subscribers} subscribers, delay at p99"), "ms", late);
        rows.push(if subscribers == 1 { late.bar(Bar::Most(10.0)) } else { late });
        rows.push(
            Row::new(format!("fan-out, {subscribers} subscribers, CPU for each delivered event"), "µs", our_cpu)
                .against(name, reference_cpu),
        );
    }
    server.stop().await;
    rows
}

async fn watch(server: &Server, session: &str, subscribers: usize, events: usize) -> Seen {
    let url = server.url("ws", &format!("/stream/{session}"));
    let mut open = Vec::new();
    for _ in 0..subscribers {
        open.push(Subscriber::open(&url).await);
    }
    let tracker = TaskTracker::new();
    let cpu = server.cpu_seconds();
    let watching = open.into_iter().map(|subscriber| tracker.spawn(read(subscriber))).collect::<Vec<_>>();
    server.enqueue(session, &stream(events, TEXT_BYTES)).await;
    let seen: Vec<Watched> = join_all(watching).await.into_iter().map(Result::unwrap).collect();
    let cpu = server.cpu_seconds() - cpu;
    let texts: usize = seen.iter().map(|watched| watched.texts).sum();
    assert_eq!(texts, events * subscribers, "events were lost, or doubled");
    let begin = seen.iter().map(|watched| watched.first).min().unwrap();
    let end = seen.iter().map(|watched| watched.last).max().unwrap();
    Seen {
        events_per_second: texts as f64 / (end - begin).as_secs_f64(),
        delays: Samples(seen.into_iter().flat_map(|watched| watched.delays).collect()),
        cpu_microseconds_per_event: cpu * 1e6 / texts as f64,
    }
}

/// One subscriber's measurements of one task.
struct Watched {
    texts: usize,
    first: Instant,
    last: Instant,
    delays: Vec<f64>,
}

/// Reads to the end of the task. Panics if a number is missing.
async fn read(mut subscriber: Subscriber) -> Watched {
    let now = Instant::now();
    let mut watched = Watched { texts: 0, first: now, last: now, delays: Vec::new() };
    let mut previous = None;
    loop {
        let event = subscriber.next().await;
        let seq: u64 = field(&event, "\"seq\":", ',').parse().unwrap();
        assert!(previous.is_none_or(|previous| previous + 1 == seq), "{seq} came after {previous:?}");
        previous = Some(seq);
        if event.starts_with("{\"type\":\"text\"") {
            if watched.texts == 0 {
                watched.first = Instant::now();
            }
            if watched.texts.is_multiple_of(LOOK_AT) {
                watched.delays.push(age_in_milliseconds(&event));
            }
            watched.texts += 1;
        } else if event.starts_with("{\"type\":\"task_complete\"") {
            watched.last = Instant::now();
            return watched;
        }
    }
}

fn field<'a>(event: &'a str, name: &str, end: char) -> &'a str {
    event.split_once(name).unwrap().1.split(end).next().unwrap()
}

/// Returns an event's age. The server uses the clock of the same machine.
fn age_in_milliseconds(event: &str) -> f64 {
    let made: SystemTime = field(event, "\"ts\":\"", '"').parse::<jiff::Timestamp>().unwrap().into();
    SystemTime::now().duration_since(made).unwrap_or_default().as_secs_f64() * 1e3
}

/// Returns the events per second and the CPU microseconds per event of a bare server that sends the session's events.
async fn bare_loop(server: &Server, session: &str, subscribers: usize) -> (f64, f64) {
    let request = server.http.get(server.url("http", &format!("/session/{session}/events")));
    let log = request.header("accept", "application/x-ndjson").send().await.unwrap().text().await.unwrap();
    // Only the measured task counts. One task ran before it.
    let (_, log) = log.split_once("{\"type\":\"task_complete\"").unwrap();
    let (_, log) = log.split_once('\n').unwrap();
    let file = server.data_dir().join("bench-events");
    std::fs::write(&file, log).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--reference")
        .args([file.to_str().unwrap(), &subscribers.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    let url = format!("ws://{address}");
    let mut open = Vec::new();
    let cpu = cpu_seconds(child.id().unwrap());
    for _ in 0..subscribers {
        open.push(Subscriber::connect(&url).await);
    }
    let tracker = TaskTracker::new();
    // Both sides use the same reader, so that its cost per event is equal.
    let reading = open.into_iter().map(|subscriber| tracker.spawn(read(subscriber)));
    let seen: Vec<_> = join_all(reading.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
    let cpu = cpu_seconds(child.id().unwrap()) - cpu;
    child.kill().await.unwrap();
    let begin = seen.iter().map(|watched| watched.first).min().unwrap();
    let end = seen.iter().map(|watched| watched.last).max().unwrap();
    let delivered = seen.iter().map(|watched| watched.texts).sum::<usize>() as f64;
    (delivered / (end - begin).as_secs_f64(), cpu * 1e6 / delivered)
}
