//! A collector with `POST /v1/traces` of OTLP over HTTP. The numbers are the field numbers of OTLP's `.proto` files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::protobuf::{Field, all, fields, number, text};
use crate::bounds::within;

pub(super) struct Collector {
    address: SocketAddr,
    taken: Arc<Taken>,
}

struct Taken {
    requests: Mutex<Vec<(HeaderMap, Bytes)>>,
    more: Notify,
    /// The status of every answer. `None`: it never answers.
    answer: Option<StatusCode>,
}

/// A received span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    /// The id of the parent span, or empty.
    pub(super) parent: String,
    pub(super) name: String,
    /// 1 internal, 2 server, 3 client.
    pub(super) kind: u64,
    /// Nanoseconds since 1970.
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: BTreeMap<String, Value>,
    /// 0 unset, 2 error.
    pub(super) status: u64,
    /// The message of the status.
    pub(super) message: String,
}

impl Collector {
    pub(super) async fn start() -> Self {
        Self::answering(Some(StatusCode::OK)).await
    }

    /// Starts a collector that accepts everything and answers with this status, or never.
    pub(super) async fn answering(answer: Option<StatusCode>) -> Self {
        let taken = Taken { requests: Mutex::default(), more: Notify::new(), answer };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::new(taken));
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Collector { address, taken }
    }

    /// The value for OTEL_EXPORTER_OTLP_ENDPOINT.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.taken.requests.lock().unwrap().clone()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.requests();
        let resources = requests.iter().flat_map(|(_, body)| all(body, 1));
        let scopes = resources.flat_map(|resource| all(resource, 2));
        scopes.flat_map(|scope| all(scope, 2)).map(Span::read).collect()
    }

    /// Returns the resource attributes of each request.
    pub(super) fn resources(&self) -> Vec<BTreeMap<String, Value>> {
        let requests = self.requests();
        let resources = requests.iter().flat_map(|(_, body)| all(body, 1));
        resources.flat_map(|resource| all(resource, 1)).map(|resource| attributes(resource, 1)).collect()
    }

    /// Waits for the span of a whole task, which is the last one of its trace, and returns the trace.
    pub(super) async fn trace_of(&self, task: &Value) -> Vec<Span> {
        let task = task.as_str().unwrap();
        within("the task's span comes", async {
            loop {
                let more = self.taken.more.notified();
                let spans = self.spans();
                if let Some(root) = spans.iter().find(|span| span.id == task) {
                    return spans.iter().filter(|span| span.trace == root.trace).cloned().collect();
                }
                more.await;
            }
        })
        .await
    }
}

async fn take(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    taken.requests.lock().unwrap().push((headers, body));
    taken.more.notify_waiters();
    match taken.answer {
        Some(status) => status,
        None => std::future::pending().await,
    }
}

impl Span {
    fn read(span: &[u8]) -> Self {
        let id = |number| hexadecimal(&all(span, number).concat());
        let status = all(span, 15).concat();
        Span {
            trace: id(1),
            id: id(2),
            parent: id(4),
            name: text(span, 5),
            kind: number(span, 6),
            began: number(span, 7),
            ended: number(span, 8),
            attributes: attributes(span, 9),
            status: number(&status, 3),
            message: text(&status, 2),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

fn attributes(message: &[u8], number: u64) -> BTreeMap<String, Value> {
    all(message, number).into_iter().map(|pair| (text(pair, 1), value(&all(pair, 2).concat()))).collect()
}

fn value(any: &[u8]) -> Value {
    match fields(any).as_slice() {
        [(1, Field::Bytes(text))] => json!(std::str::from_utf8(text).unwrap()),
        [(3, Field::Varint(count))] => json!(count),
        [(4, Field::Fixed(bits))] => json!(f64::from_bits(*bits)),
        other => panic!("no attribute's value: {other:?}"),
    }
}
