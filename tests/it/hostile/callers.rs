//! Attacks by one caller on other callers. Each attempt is followed by a request with another key from another address, and
//! succeeds if that request gets no answer. No container needed.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::{iter, pending};
use reqwest::{Body, RequestBuilder};
use serde_json::json;

use super::report::{Attempt, report};
use crate::access::{ADMIN, Caller, make_key};
use crate::server::{Setup, TestServer};

/// The time for which an unfinished body is held.
const HOLD: Duration = Duration::from_secs(2);

struct Attacker<'a> {
    server: &'a TestServer,
    caller: Caller<'a>,
    attempts: Vec<Attempt>,
}

impl Attacker<'_> {
    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.caller.request(method, path)
    }

    /// Sends a GET `count` times at once, holds the granted ones, and checks that the other caller's request still succeeds.
    async fn hold(&mut self, attempt: &str, count: usize, path: &str, others: &str) {
        let answers = join_all((0..count).map(|_| self.request("GET", path).send())).await;
        let granted: Vec<_> =
            answers.into_iter().filter_map(Result::ok).filter(|answer| answer.status().is_success()).collect();
        let attempt = self.look(attempt, format!("{} of {count} granted", granted.len()), others).await;
        self.attempts.push(attempt);
    }

    /// Records an attempt that must be refused with this kind of problem.
    async fn refused(&mut self, attempt: &str, request: RequestBuilder, kind: &str) {
        let answer = self.server.send(request).await;
        let got = answer.body["code"].as_str().unwrap_or("granted").to_owned();
        let is_refused = got == kind;
        let mut attempt = self.look(attempt, got, "/sessions").await;
        attempt.succeeded |= !is_refused;
        self.attempts.push(attempt);
    }

    /// Checks the other caller: the attempt succeeded if its request is not answered.
    async fn look(&self, attempt: &str, got: String, path: &str) -> Attempt {
        let other = Caller::new(self.server, 200, Some(ADMIN)).request("GET", path).send().await;
        let succeeded = !other.is_ok_and(|answer| answer.status().is_success());
        Attempt { class: "other callers".to_owned(), attempt: attempt.to_owned(), got, succeeded }
    }
}

#[tokio::test]
async fn one_caller_stops_no_other() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "submit", "--sessions", "hostile-"]).await;
    let caller = Caller::new(&server, 1, Some(&key));
    let mut attacker = Attacker { server: &server, caller, attempts: Vec::new() };
    let large = "a".repeat(1_000_000);
    let mut record = String::new();
    for number in 0..4 {
        let task = json!({ "sessionId": format!("hostile-{number}"), "message": large, "async": true });
        let accepted = server.send(attacker.caller.request("POST", "/task").json(&task)).await.expect(202);
        record = format!("/task/{}", accepted["taskId"].as_str().unwrap());
    }
    attacker.hold("256 readers of GET /watch", 256, "/watch", "/watch").await;
    attacker.hold("64 lists of 500 long tasks that nobody reads", 64, "/tasks?limit=500&full=1", "/tasks").await;
    attacker.hold("64 sums of usage", 64, "/usage", "/usage").await;
    attacker.hold("64 readers of files", 64, "/session/hostile-1/files?format=tar", "/sessions").await;
    attacker.hold("256 readers of events", 256, "/session/hostile-1/events", "/session/hostile-1/events").await;
    attacker.hold("64 records that nobody reads", 64, &record, &record).await;
    let log = format!("{record}/logs");
    attacker.hold("256 logs of a task", 256, &log, &log).await;
    let search = format!("/tasks?q={}", "a".repeat(200));
    attacker.hold("64 searches in long messages", 64, &search, &search).await;
    let bodies = (0..64).map(|_| {
        let begun = iter([Ok::<_, std::io::Error>("{")]).chain(pending());
        let request = attacker.request("POST", "/task").header("content-type", "application/json");
        request.body(Body::wrap_stream(begun)).timeout(HOLD).send()
    });
    let bodies = join_all(bodies.collect::<Vec<_>>());
    let look = attacker.look("64 bodies of 4 MiB that do not end", "held".to_owned(), "/sessions");
    let (_, attempt) = tokio::join!(bodies, look);
    attacker.attempts.push(attempt);

    let search = format!("/tasks?q={}", "a".repeat(30_000));
    let request = attacker.request("GET", &search);
    attacker.refused("a search for 30,000 characters", request, "invalid_request").await;
    let request = attacker.request("PUT", "/session/hostile-1/credential").json(&json!({ "apiKey": large }));
    attacker.refused("a credential of 1 MB", request, "invalid_request").await;
    let zeros = format!("{{\"sessionId\":\"hostile-1\",\"message\":\"m\",\"metadata\":[{}0]}}", "0,".repeat(1_900_000));
    let request = attacker.request("POST", "/task").header("content-type", "application/json").body(zeros);
    attacker.refused("metadata of two million numbers", request, "invalid_request").await;
    let values: serde_json::Map<_, _> =
        (0..32).map(|number| (format!("V{number}"), json!("v".repeat(60_000)))).collect();
    let task = json!({ "sessionId": "hostile-1", "message": "m", "env": values });
    let request = attacker.request("POST", "/task").json(&task);
    attacker.refused("an env of 2 MB", request, "invalid_request").await;
    for id in
        [".", "..", "hostile-\u{200b}", "hostile-\u{202e}txt", "hostile-\u{e0041}", "hostile-\u{2800}", "hostile- "]
    {
        let request = attacker.request("POST", "/task").json(&json!({ "sessionId": id, "message": "m" }));
        attacker.refused(&format!("a session named {}", id.escape_debug()), request, "invalid_request").await;
    }
    let request = attacker.request("GET", "/session/another");
    attacker.refused("a session of another prefix", request, "session_not_found").await;
    attacker.caller = Caller::new(&server, 2, Some("not-a-key"));
    attacker.hold("100 wrong keys from one address", 100, "/sessions", "/sessions").await;
    report("callers", &attacker.attempts);
    server.finish().await;
}
