//! The record of requests, for tests and for `/__requests`.

use std::collections::{BTreeMap, VecDeque};

use axum::http::HeaderMap;
use bytes::Bytes;
use serde::Serialize;

use super::Memory;
use super::invariants::{Breach, Violation};

/// The maximum number of kept requests and violations.
const MAX_KEPT: usize = 256;
/// The maximum size of a kept body. The CLI's bodies have about 100 KiB.
const MAX_BODY: usize = 1024 * 1024;

/// One request to `/v1/messages` or `/v1/messages/count_tokens`.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRequest {
    /// Starts at 1.
    pub number: u64,
    /// The path with its query, such as `/v1/messages?beta=true`.
    pub path: String,
    /// Names in lower case. Credentials are replaced with `[redacted]`.
    pub headers: BTreeMap<String, String>,
    pub credential: Credential,
    pub model: String,
    pub stream: bool,
    pub tools: usize,
    /// The user's last message.
    pub prompt: String,
    /// The source of the answer, such as `directive say`, `script api-calls-left`, `broken invariant`.
    pub answered_by: String,
    /// The body as received; empty if it was larger than 1 MiB.
    #[serde(skip)]
    pub body: Bytes,
}

/// The expected credential that a request carried. The number is its index in the order of configuration, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    ApiKey(usize),
    OauthToken(usize),
    Wrong,
    Both,
    None,
}

#[derive(Debug)]
pub(super) struct Log {
    memory: Memory,
    count: u64,
    requests: VecDeque<RecordedRequest>,
    violations: VecDeque<Violation>,
}

impl Log {
    pub(super) fn new(memory: Memory) -> Self {
        Self { memory, count: 0, requests: VecDeque::new(), violations: VecDeque::new() }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.memory);
    }

    /// Assigns the next number to the request and keeps it.
    pub(super) fn add(&mut self, mut request: RecordedRequest, breaches: Vec<Breach>) {
        self.count += 1;
        request.number = self.count;
        let is_kept = self.memory == Memory::Latest;
        if request.body.len() > MAX_BODY {
            request.body = Bytes::new();
        }
        if is_kept {
            push(&mut self.requests, request);
        }
        for (rule, detail) in breaches {
            tracing::warn!(request = self.count, rule, "{detail}");
            if !is_kept {
                continue;
            }
            push(&mut self.violations, Violation { request: self.count, rule, detail });
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn violations(&self) -> Vec<Violation> {
        self.violations.iter().cloned().collect()
    }
}

/// The headers without secrets.
pub(super) fn redacted(headers: &HeaderMap) -> BTreeMap<String, String> {
    const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
    let shown = |name: &str, value: &[u8]| {
        if SECRET.contains(&name) { "[redacted]".to_owned() } else { String::from_utf8_lossy(value).into_owned() }
    };
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), shown(name.as_str(), value.as_bytes()))).collect()
}

fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == MAX_KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}
