//! A model that requests one Bash call and accepts its result.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Any model that has a price.
pub(super) const NAME: &str = "claude-sonnet-4-6";

/// Tests processes, a pipe, files on both volumes and in `/tmp`, and the loopback connection that carries everything
/// else.
const COMMAND: &str = "echo one > /workspace/.self-test && cp /workspace/.self-test ~/.self-test && cp ~/.self-test /tmp/x && \
                       git -C /tmp init -q repository && curl -s -o /dev/null http://127.0.0.1:8787/ && \
                       rm /workspace/.self-test && cat /tmp/x | tr -d '\\n' && echo \" $(id -u) $((6 * 7))\"";

/// The output of the command.
const EXPECTED: &str = "one 10001 42";

/// The maximum size of a request. The CLI sends about 100 KB.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Only the first result is of interest.
const RESULTS: usize = 1;

/// A running model. It ends when it is dropped.
pub(super) struct Model {
    address: SocketAddr,
    results: mpsc::Receiver<String>,
    _running: DropGuard,
}

impl Model {
    pub(super) async fn start(tracker: &TaskTracker) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, results) = mpsc::channel(RESULTS);
        let ended = CancellationToken::new();
        let (running, connections) = (ended.clone(), tracker.clone());
        tracker.spawn(ended.clone().run_until_cancelled_owned(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| answer(request, sender.clone()));
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(ended.clone().run_until_cancelled_owned(async move {
                    // The CLI repeats a request whose connection broke.
                    let _ = connection.await;
                }));
            }
        }));
        Ok(Self { address, results, _running: running.drop_guard() })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ok if the call was made with the expected result; otherwise one sentence.
    pub(super) fn result(&mut self) -> Result<(), String> {
        match self.results.try_recv() {
            Ok(result) if result.contains(EXPECTED) => Ok(()),
            Ok(result) => Err(format!("its tool call returned {result:?} instead of {EXPECTED:?}")),
            Err(_) => Err("it made no tool call".to_owned()),
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    results: mpsc::Sender<String>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = http_body_util::Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    let body: Value = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
    let result = body["messages"].as_array().into_iter().flatten().rev().find_map(tool_result);
    let offers_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let block = match result {
        Some(result) => {
            // If the channel is full, it already has a result.
            let _ = results.try_send(result);
            json!({"type": "text", "text": "Passed."})
        }
        None if offers_tools => json!({
            "type": "tool_use", "id": "toolu_selftest", "name": "Bash",
            "input": {"command": COMMAND, "description": "Test"},
        }),
        None => json!({"type": "text", "text": "Test"}),
    };
    let streamed = body["stream"] == true;
    let (kind, text) =
        if streamed { ("text/event-stream", stream(&block)) } else { ("application/json", whole(&block)) };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    Ok(response)
}

/// The text of a message's tool result, if it contains one.
fn tool_result(message: &Value) -> Option<String> {
    let blocks = message["content"].as_array()?;
    let content = &blocks.iter().find(|block| block["type"] == "tool_result")?["content"];
    Some(content.as_str().map_or_else(|| content.to_string(), str::to_owned))
}

fn stop_reason(block: &Value) -> &'static str {
    if block["type"] == "tool_use" { "tool_use" } else { "end_turn" }
}

fn message(content: &Value, stop: Option<&str>) -> Value {
    json!({
        "id": "msg_selftest", "type": "message", "role": "assistant", "model": NAME, "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

fn whole(block: &Value) -> String {
    message(&json!([block]), Some(stop_reason(block))).to_string()
}

fn stream(block: &Value) -> String {
    let (empty, delta) = if block["type"] == "tool_use" {
        let mut empty = block.clone();
        empty["input"] = json!({});
        (empty, json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}))
    } else {
        (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": block["text"]}))
    };
    let events = [
        json!({"type": "message_start", "message": message(&json!([]), None)}),
        json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop_reason(block), "stop_sequence": null},
               "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    let named = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(named).collect()
}
