//! A scripted upstream, a gateway in front of it, and a client in place of the sandbox.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use domain::budget::Payer;
use domain::usage::Cost;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use observe::audit::{self, AuditFile, AuditRetention};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{Credential, Credentials, Gateway, GatewaySettings, Prices, Resolve, RetryBudget, SandboxGateway};

/// A complete answer of 10 input and 20 output tokens.
pub(super) const MESSAGE: &str = concat!(
    r#"data: {"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}"#,
    "\n\n",
    r#"data: {"type":"message_delta","usage":{"output_tokens":20}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
);

pub(super) const ASK: &str = r#"{"model":"claude-sonnet-4-6","max_tokens":100,"messages":[]}"#;

/// Like [`ASK`], as Claude Code sends it: the answer is to be streamed.
pub(super) const STREAMED_ASK: &str = r#"{"model":"claude-sonnet-4-6","max_tokens":100,"messages":[],"stream":true}"#;

/// Returns the reservation of [`ASK`]: its bytes and 2,000 tokens of instructions written to the cache for an hour, and 100 tokens
/// of output, in one region.
pub(super) fn reservation() -> Cost {
    reservation_of(ASK)
}

/// Like [`reservation`], for another request of 100 tokens.
pub(super) fn reservation_of(ask: &str) -> Cost {
    let nanos = (ask.len() as u64 + 2_000) * 6_000 + 100 * 15_000;
    Cost::from_nano_dollars(nanos * 11 / 10)
}

/// A request as received by an upstream.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A server that answers the nth request (from 1) with `script`.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(script: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static) -> Server {
        Server::start_async(move |count, seen| std::future::ready(script(count, seen))).await
    }

    pub(super) async fn start_async<F>(script: impl Fn(usize, &Seen) -> F + Send + Sync + 'static) -> Server
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            async move {
                let (head, body) = request.into_parts();
                let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
                let seen = Seen { line: format!("{} {}", head.method, head.uri), headers: head.headers, body };
                let count = {
                    let mut log = log.lock().unwrap();
                    log.push(seen.clone());
                    log.len()
                };
                script(count, &seen).await
            }
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Server { address, seen }
    }

    /// Starts an upstream that always answers with a message of 10 input and 20 output tokens.
    pub(super) async fn answering() -> Server {
        Server::start(|_, _| message("claude-sonnet-4-6", &json!({ "input_tokens": 10, "output_tokens": 20 }))).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// The rest of a streamed answer.
pub(super) type Upstream = mpsc::Sender<io::Result<&'static str>>;

/// Starts a server with one answer, which streams from the channel while that is open.
pub(super) async fn held_open() -> (Server, Upstream) {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let server = Server::start(move |_, _| {
        let receiver: mpsc::Receiver<io::Result<&'static str>> = receiver.lock().unwrap().take().unwrap();
        let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((piece.map(Bytes::from), receiver))
        });
        streamed(Body::from_stream(pieces))
    })
    .await;
    (server, sender)
}

pub(super) fn streamed(body: Body) -> Response {
    Response::builder().header("content-type", "text/event-stream; charset=utf-8").body(body).unwrap()
}

/// Returns the next piece of an answer.
pub(super) async fn next(body: &mut Incoming) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(super) fn message(model: &str, usage: &Value) -> Response {
    json_answer(200, &json!({ "type": "message", "model": model, "content": [], "usage": usage }))
}

pub(super) fn api_error(status: u16, kind: &str) -> Response {
    json_answer(status, &json!({ "type": "error", "error": { "type": kind, "message": format!("said {kind}") } }))
}

/// Names and their addresses.
#[derive(Clone, Default)]
pub(super) struct Names(pub(super) BTreeMap<String, Vec<IpAddr>>);

impl Names {
    pub(super) fn of(entries: &[(&str, &str)]) -> Names {
        let mut names = Names::default();
        for (name, address) in entries {
            names.0.entry((*name).to_owned()).or_default().push(address.parse().unwrap());
        }
        names
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let found = self.0.get(name).cloned().ok_or_else(|| io::Error::other(format!("no such name: {name}")));
        Box::pin(async move { found })
    }
}

/// Captures the log of this thread until it is dropped.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the number of lines that contain `text`.
    pub(super) fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().filter(|line| line.contains(text)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Captures the audit log of this thread until it is dropped.
pub(super) struct AuditLog {
    directory: tempfile::TempDir,
    taken: Cell<usize>,
    _subscriber: DefaultGuard,
}

impl AuditLog {
    fn open() -> (AuditLog, Log) {
        let directory = tempfile::tempdir().unwrap();
        let file =
            AuditFile::open(&directory.path().join("audit.log"), AuditRetention::default(), Arc::default()).unwrap();
        let log = Log(Arc::default());
        let writer = log.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(audit::layer(file)).with(lines).set_default();
        (AuditLog { directory, taken: Cell::new(0), _subscriber: subscriber }, log)
    }

    /// Returns the decisions since the last call, as `session via target: outcome`.
    pub(super) fn decisions(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let all: Vec<_> = lines.filter(|line| !line["egress.via"].is_null()).collect();
        let new = &all[self.taken.replace(all.len())..];
        let word = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
        let told = new.iter().map(|line| {
            let [session, via, target, decision] =
                ["session.id", "egress.via", "egress.target", "egress.decision"].map(|name| word(line, name));
            format!("{session} {via} {target}: {decision}")
        });
        told.collect()
    }
}

pub(super) struct World {
    pub(super) log: Log,
    pub(super) audit: AuditLog,
    pub(super) gateway: Gateway,
    pub(super) sandbox: Arc<SandboxGateway>,
    tracker: TaskTracker,
}

pub(super) struct Setup {
    pub(super) settings: GatewaySettings,
    pub(super) credentials: Credentials,
    pub(super) names: Names,
}

impl Setup {
    /// The settings of tests: an API key, retries without waits, and no names.
    pub(super) fn before(upstream: SocketAddr) -> Setup {
        let mut settings =
            GatewaySettings::new(format!("http://{upstream}").parse().unwrap(), Prices::load(None).unwrap());
        settings.retry = RetryBudget { tries: 3, total: Duration::from_secs(15), first_delay: Duration::ZERO };
        let credentials = Credentials::new(Some(Credential::api_key("sk-operator").unwrap()), None);
        Setup { settings, credentials, names: Names::default() }
    }

    pub(super) fn allow(mut self, rules: &[&str]) -> Setup {
        self.settings.egress_allow.extend(rules.iter().map(|rule| rule.parse().unwrap()));
        self
    }

    pub(super) fn open(self) -> World {
        let tracker = TaskTracker::new();
        let gateway =
            Gateway::with_resolver(self.settings, self.credentials, tracker.clone(), Arc::new(self.names)).unwrap();
        let sandbox = gateway.open();
        sandbox.begin_task(Payer::default());
        let (audit, log) = AuditLog::open();
        World { log, audit, gateway, sandbox, tracker }
    }
}

impl World {
    /// Opens a new connection from the sandbox.
    pub(super) fn connect(&self) -> DuplexStream {
        let (inside, outside) = tokio::io::duplex(64 << 10);
        self.tracker.spawn(Arc::clone(&self.sandbox).serve(outside));
        inside
    }

    pub(super) async fn client(&self) -> Client {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect())).await.unwrap();
        self.tracker.spawn(async move { drop(connection.await) });
        Client { sender }
    }

    /// Sends `request` unchanged on its own connection and returns everything up to the end of the connection. `request` should
    /// contain `connection: close`, except for a refused CONNECT.
    pub(super) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Posts [`ASK`] and returns the whole answer.
    pub(super) async fn ask(&self) -> Answer {
        self.client().await.send(request("POST", "/v1/messages?beta=true", ASK)).await
    }
}

pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn should_retry(&self) -> Option<&str> {
        self.headers.get("x-should-retry").map(|value| value.to_str().unwrap())
    }
}

impl Client {
    pub(super) async fn start(&mut self, request: http::Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }

    pub(super) async fn send(&mut self, request: http::Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.start(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

pub(super) fn request(method: &str, uri: &str, body: &str) -> http::Request<Full<Bytes>> {
    let uri: http::Uri = uri.parse().unwrap();
    let host = uri.authority().map_or("127.0.0.1:8787", |authority| authority.as_str()).to_owned();
    http::Request::builder()
        .method(method)
        .uri(uri)
        .header("host", host)
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}
