//! A caller with one key that does everything that may slow down other callers. It runs as a separate process, so that its memory
//! does not count as the server's. The attack is bounded in number and time.

mod kinds;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use reqwest::{Client, Response};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

use kinds::{
    aborted_queue, credentials, half_body, half_head, idle, queue, readiness, search, subscribe, unread, values,
    variables, webhooks, wrong_key,
};

const SESSION: &str = "hostile";
/// Almost the largest body that the server accepts.
const LARGE: usize = 3_900_000;
/// The time for which a connection is held before it is opened again.
const HOLD: Duration = Duration::from_secs(5);
/// The time after which the queues are full.
const PREPARATION: Duration = Duration::from_mins(1);
/// The pause after a refusal. Without it, the attack would only measure how many refusals two cores can send.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Attack {
    address: SocketAddr,
    key: String,
    client: Client,
    end: Instant,
    silent: String,
    /// A task with a large record and a log.
    task: String,
}

/// A name, the number of concurrent attackers, and the action of each attacker, which gets its number.
type Kind = (&'static str, usize, fn(Arc<Attack>, usize, Arc<Tally>) -> BoxFuture<'static, ()>);

/// The numbers of answers, refusals and requests without an answer.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

/// Fills the queues, attacks for `seconds`, and prints the tally. `silent` is a host that accepts connections and never answers.
pub(crate) async fn attack(address: &str, key: &str, silent: &str, seconds: u64) {
    let mut attack = Attack {
        address: address.parse().unwrap(),
        key: key.to_owned(),
        client: Client::builder().pool_max_idle_per_host(0).build().unwrap(),
        end: Instant::now(),
        silent: silent.to_owned(),
        task: String::new(),
    };
    // This session has files that can be read, and its task a large record.
    let context = "c".repeat(LARGE);
    let task = json!({ "sessionId": SESSION, "message": "bash:seq 1 300000 > numbers", "context": context });
    let answer: serde_json::Value = attack.post(task).await.unwrap().json().await.unwrap();
    attack.task = answer["taskId"].as_str().unwrap().to_owned();
    let queues: [Kind; 2] = [
        ("queue of 3.9 MB tasks", 2, |attack, number, tally| queue(attack, number, tally).boxed()),
        ("webhooks to a silent host", 4, |attack, number, tally| webhooks(attack, number, tally).boxed()),
    ];
    let kinds: [Kind; 17] = [
        ("searches whose callers leave", 8, |attack, _, tally| search(attack, tally).boxed()),
        ("lists that nobody reads", 12, |attack, _, tally| unread(attack, "/tasks?limit=500&full=1", tally).boxed()),
        ("bodies that do not end", 200, |attack, _, tally| half_body(attack, tally).boxed()),
        ("credentials", 4, |attack, _, tally| credentials(attack, tally).boxed()),
        ("watchers", 256, |attack, _, tally| unread(attack, "/watch", tally).boxed()),
        ("event streams", 64, |attack, _, tally| subscribe(attack, tally).boxed()),
        ("files that nobody reads", 16, |attack, _, tally| {
            unread(attack, "/session/hostile/files?format=tar", tally).boxed()
        }),
        ("records that nobody reads", 64, |attack, _, tally| {
            let path = format!("/task/{}", attack.task);
            async move { unread(attack, &path, tally).await }.boxed()
        }),
        ("logs that nobody reads", 64, |attack, _, tally| {
            let path = format!("/task/{}/logs", attack.task);
            async move { unread(attack, &path, tally).await }.boxed()
        }),
        ("replays that nobody reads", 64, |attack, _, tally| {
            unread(attack, "/session/hostile/events?since=0", tally).boxed()
        }),
        ("bodies of many values", 8, |attack, number, tally| values(attack, number, tally).boxed()),
        ("heads that do not end", 500, |attack, _, tally| half_head(attack, tally).boxed()),
        ("connections without a key", 2_000, |attack, _, tally| idle(attack, tally).boxed()),
        ("wrong keys", 4, |attack, _, tally| wrong_key(attack, tally).boxed()),
        ("queues that are aborted and deleted", 2, |attack, number, tally| {
            aborted_queue(attack, number, tally).boxed()
        }),
        ("credentials beside a thousand variables", 2, |attack, number, tally| {
            variables(attack, number, tally).boxed()
        }),
        ("checks of readiness", 8, |attack, _, tally| readiness(attack, tally).boxed()),
    ];
    attack.end = Instant::now() + PREPARATION;
    let mut attack = Arc::new(attack);
    run(&attack, queues).await;
    Arc::make_mut(&mut attack).end = Instant::now() + Duration::from_secs(seconds);
    println!("begins");
    run(&attack, kinds).await;
}

/// Runs all kinds concurrently until the end.
async fn run<const N: usize>(attack: &Arc<Attack>, kinds: [Kind; N]) {
    let kinds = kinds.into_iter().map(async |(name, count, one)| {
        let tally = Arc::new(Tally::default());
        join_all((0..count).map(|number| one(attack.clone(), number, tally.clone()))).await;
        let [answered, refused, broken] =
            [&tally.answered, &tally.refused, &tally.broken].map(|number| number.load(Ordering::Relaxed));
        eprintln!("    {count} × {name}: {answered} answered, {refused} refused, {broken} without an answer");
    });
    join_all(kinds).await;
}

impl Attack {
    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn post(&self, task: serde_json::Value) -> reqwest::Result<Response> {
        self.client.post(self.url("/task")).bearer_auth(&self.key).json(&task).send().await
    }

    /// Opens a connection from its own address, for attackers without a key.
    async fn connect(&self, from: u8) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, 3, from), 0).into())?;
        socket.connect(self.address).await
    }

    /// Sends the head of a request and reads nothing. Ends after HOLD.
    async fn hold(&self, from: u8, head: &str, tally: &Tally) {
        match self.connect(from).await {
            Ok(mut stream) => {
                tally.count(&stream.write_all(head.as_bytes()).await.map(|()| true));
                let _ = timeout_at(self.end, sleep(HOLD)).await;
            }
            Err(error) => {
                tally.count(&Err(error));
                sleep(PAUSE).await;
            }
        }
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let (host, key) = (self.address, &self.key);
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n{more}\r\n")
    }
}

impl Tally {
    /// Counts an answer. `true` means that the request succeeded.
    fn count<E>(&self, answer: &Result<bool, E>) {
        let counter = match answer {
            Ok(true) => &self.answered,
            Ok(false) => &self.refused,
            Err(_) => &self.broken,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer and waits after a refusal.
    async fn take(&self, answer: reqwest::Result<Response>) {
        let granted = answer.map(|answer| answer.status().is_success());
        let pause = !matches!(granted, Ok(true));
        self.count(&granted);
        if pause {
            sleep(PAUSE).await;
        }
    }
}
