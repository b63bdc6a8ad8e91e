//! Answers as text, so that two of them can be compared.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::TestServer;

/// Members whose values differ from run to run or from machine to machine, and sentences for people.
const VARYING: [&str; 35] = [
    "apiVersion",
    "claudeSessionId",
    "cliCost",
    "cpus",
    "created",
    "day",
    "detail",
    "duration",
    "durationMs",
    "earliestSeq",
    "epoch",
    "error",
    "expiresAt",
    "finished",
    "from",
    "id",
    "key",
    "lastActive",
    "max",
    "memoryBytes",
    "memoryLimitBytes",
    "modified",
    "nextAttempt",
    "processes",
    "protocols",
    "result",
    "sdkSessionId",
    "started",
    "taskId",
    "ticket",
    "time",
    "title",
    "to",
    "tools",
    "toolUseId",
];

/// Members that are replaced only if they are strings.
const VARYING_STRINGS: [&str; 2] = ["version", "ts"];

/// Headers that describe the body.
const HEADERS: [&str; 4] = ["content-type", "location", "link", "retry-after"];

/// The server's answers, call by call.
pub(super) struct Record<'a> {
    server: &'a TestServer,
    text: String,
}

impl<'a> Record<'a> {
    pub(super) fn of(server: &'a TestServer) -> Self {
        Record { server, text: String::new() }
    }

    pub(super) async fn get(&mut self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn delete(&mut self, path: &str) -> Value {
        self.call(Method::DELETE, path, None).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn post_nothing(&mut self, path: &str) -> Value {
        self.call(Method::POST, path, None).await
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let name = format!("{method} {}", without_ids(path));
        let request = self.server.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.send(&name, request).await
    }

    /// Sends a request and records its answer.
    pub(super) async fn send(&mut self, name: &str, request: RequestBuilder) -> Value {
        let (head, text) = self.exchange(request).await;
        let value = if text.is_empty() { Value::Null } else { exactly(&text) };
        let _ = write!(self.text, "{name}\n{head}{}\n\n", if text.is_empty() { String::new() } else { shown(&value) });
        value
    }

    /// Records an answer of JSON lines.
    pub(super) async fn lines(&mut self, path: &str) {
        let request = self.server.request(Method::GET, path).header("accept", "application/x-ndjson");
        let (head, text) = self.exchange(request).await;
        let lines: String = text.lines().map(|line| shown(&exactly(line)) + "\n").collect();
        let _ = write!(self.text, "GET {}\n{head}{lines}\n", without_ids(path));
    }

    /// Records a frame of a WebSocket.
    pub(super) fn value(&mut self, name: &str, value: &Value) {
        let _ = write!(self.text, "{name}\n{}\n\n", shown(value));
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// Returns the status with the headers, and the body.
    async fn exchange(&self, request: RequestBuilder) -> (String, String) {
        let response = request.send().await.unwrap();
        let mut head = format!("{}\n", response.status());
        for name in HEADERS {
            if let Some(value) = response.headers().get(name) {
                let _ = writeln!(head, "{name}: {}", without_ids(value.to_str().unwrap()));
            }
        }
        (head, response.text().await.unwrap())
    }
}

/// Parses a body and checks that serialising it again gives the same text.
#[track_caller]
fn exactly(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value.to_string(), text);
    value
}

fn shown(value: &Value) -> String {
    redacted(value).to_string()
}

fn redacted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), of_member(name, value))).collect(),
        other => other.clone(),
    }
}

/// Replaces a varying value with its name and kind.
fn of_member(name: &str, value: &Value) -> Value {
    let kind = match value {
        Value::Null | Value::Bool(_) | Value::Object(_) => return redacted(value),
        Value::Array(items) if items.is_empty() => return redacted(value),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
    };
    let varies = VARYING.contains(&name) || value.is_string() && VARYING_STRINGS.contains(&name);
    if varies { json!(format!("[{name}: {kind}]")) } else { redacted(value) }
}

/// Returns a path or an address without its ids and cursors.
fn without_ids(text: &str) -> String {
    let is_id = |part: &str| {
        let digits = part.trim_start_matches("msg_");
        digits.len() >= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parts = text.split_inclusive(['/', '?', '&', '=', '>']);
    let mut before = String::new();
    for part in parts {
        let (word, end) = match part.char_indices().last() {
            Some((at, '/' | '?' | '&' | '=' | '>')) => part.split_at(at),
            _ => (part, ""),
        };
        let is_cursor = before.ends_with("cursor=");
        before.push_str(if is_cursor {
            "[cursor]"
        } else if is_id(word) {
            "[id]"
        } else {
            word
        });
        before.push_str(end);
    }
    before
}
