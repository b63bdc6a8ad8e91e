//! Tests the server's checks before it reads a request, with raw bytes on its socket. None of these requests creates a task.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use serde_json::json;

use crate::access::audit;
use crate::bounds::within;
use crate::server::{Setup, TestServer};

const BODY: &str = r#"{"sessionId":"s","message":"hi","async":true}"#;

/// Sends these bytes and returns everything that the server sends until the connection ends.
async fn say(server: &TestServer, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port().parse().unwrap())).await.unwrap();
    stream.write_all(bytes.replace("PORT", server.port()).as_bytes()).await.unwrap();
    until_closed(stream).await
}

async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // The server ends each of these connections, after at most one answer.
    let _ = within("the connection ends", async {
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            answer.extend_from_slice(&piece[..read]);
        }
        Ok::<_, std::io::Error>(())
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(head: &str, kind: &str) -> String {
    let length = BODY.len();
    format!(
        "POST /task HTTP/1.1\r\n{head}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{BODY}"
    )
}

#[tokio::test]
async fn a_request_from_elsewhere_goes_no_further() {
    let server = Setup::new().without_image().env("ALLOWED_HOSTS", "runner.example.com").start().await;
    let json = "application/json";
    for (status, code, head, kind) in [
        ("400", "invalid_host", "x-a: b", json),
        ("400", "invalid_host", "host: 127.0.0.1:PORT\r\nhost: 127.0.0.1:PORT", json),
        ("400", "invalid_host", "host: u@127.0.0.1:PORT", json),
        ("421", "host_not_allowed", "host: evil.example:PORT", json),
        ("421", "host_not_allowed", "host: 127.0.0.1:1", json),
        ("403", "origin_not_allowed", "host: 127.0.0.1:PORT\r\norigin: null", json),
        ("403", "origin_not_allowed", "host: 127.0.0.1:PORT\r\norigin: http://evil.example", json),
        ("403", "origin_not_allowed", "host: 127.0.0.1:PORT\r\norigin: http://127.0.0.1:1", json),
        ("403", "cross_site", "host: 127.0.0.1:PORT\r\nsec-fetch-site: cross-site", json),
        ("415", "unsupported_media_type", "host: 127.0.0.1:PORT", "text/plain"),
        ("415", "unsupported_media_type", "host: 127.0.0.1:PORT", "application/x-www-form-urlencoded"),
    ] {
        let answer = say(&server, &post(head, kind)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{head}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("nosniff"), "{head}: {answer}");
        assert_written_down(&server, &answer, status, "/task");
    }
    let upgrade = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==";
    for head in ["host: evil.example", "host: 127.0.0.1:PORT\r\norigin: http://evil.example"] {
        let answer = say(&server, &format!("GET /stream/s HTTP/1.1\r\n{head}\r\n{upgrade}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.get("/tasks").await.ok(), serde_json::json!([]));
    // Valid requests pass.
    let proxied = say(&server, &post("host: runner.example.com\r\norigin: https://runner.example.com", json)).await;
    assert!(proxied.starts_with("HTTP/1.1 202 "), "{proxied}");
    let health = server.get("/health").await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(health.header(name), value);
    }
    let policy = health.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!health.headers.contains_key("server"));
    server.finish().await;
}

/// Checks that one line has the answer's id and all known facts about a request that the perimeter refused.
fn assert_written_down(server: &TestServer, answer: &str, status: &str, route: &str) {
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or_else(|| panic!("{answer}"));
    let mut lines = audit(server);
    lines.retain(|line| line["request.id"] == id);
    let [line] = lines.as_slice() else { panic!("{} lines for {answer}", lines.len()) };
    assert_eq!(line["http.status"].to_string(), status, "{line}");
    assert_eq!((&line["http.route"], &line["peer"]), (&json!(route), &json!("127.0.0.1")), "{line}");
    assert_eq!((&line["key.id"], line["duration_ms"].is_u64()), (&json!(null), true), "{line}");
    let by_source = !["413", "415"].contains(&status);
    assert_eq!(line["refused"].is_string(), by_source, "{line}");
}

/// This includes requests that reach no handler, key check or page.
#[tokio::test]
async fn every_refusal_has_an_id_and_one_line_in_the_audit_log() {
    let key = "0123456789abcdef0123456789abcdef";
    let setup = Setup::new().without_image().env("API_KEYS", key).env("CORS_ORIGINS", "https://app.example.com");
    let server = setup.start().await;
    let ours = "host: 127.0.0.1:PORT\r\nconnection: close";
    let known = format!("{ours}\r\nauthorization: Bearer {key}");
    let long = "content-type: application/json\r\ncontent-length: 9999999";
    let page = "origin: https://app.example.com\r\naccess-control-request-method: POST";
    for (status, start, head, route) in [
        (421, "GET /health", "host: evil.example\r\nconnection: close".to_owned(), Some("/health")),
        (421, "GET /nowhere", "host: evil.example\r\nconnection: close".to_owned(), None),
        (413, "POST /task", format!("{ours}\r\n{long}"), Some("/task")),
        (413, "POST /health", format!("{ours}\r\n{long}"), Some("/health")),
        (415, "POST /task", format!("{ours}\r\ncontent-length: 2"), Some("/task")),
        (401, "GET /nowhere", ours.to_owned(), None),
        (401, "GET /assets/no/such", ours.to_owned(), None),
        (404, "GET /nowhere", known.clone(), None),
        (405, "PATCH /task", known.clone(), Some("/task")),
        (400, "GET /session/%ff", known.clone(), Some("/session/{id}")),
        (200, "OPTIONS /task", format!("{ours}\r\n{page}"), Some("/task")),
    ] {
        let id = format!("refused-{status}-{}", start.len() + head.len());
        // The rest of a body that is too long never arrives.
        let answer = say(&server, &format!("{start} HTTP/1.1\r\n{head}\r\nx-request-id: {id}\r\n\r\n{{}}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
        assert!(answer.contains(&format!("x-request-id: {id}\r\n")), "{start}: {answer}");
        let mut lines = audit(&server);
        lines.retain(|line| line["request.id"] == id);
        let [line] = lines.as_slice() else { panic!("{} lines for {start} {head}", lines.len()) };
        let method = start.split(' ').next();
        let (seen, told) =
            ((&line["http.status"], &line["http.method"], &line["http.route"]), json!([status, method, route]));
        assert_eq!(seen, (&told[0], &told[1], &told[2]), "{line}");
    }
    // Requests of load balancers are not logged, because they would fill the log.
    server.get("/health").await.ok();
    assert!(audit(&server).iter().all(|line| line["http.route"] != "/health" || line["http.status"] != 200));
    server.with_key(key).finish().await;
}

/// Returns the answer to a client that reads only after sending everything, as many do. The server answers before `rest` is sent.
async fn send_to_the_end(server: &TestServer, begin: &[u8], rest: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port().parse().unwrap())).await.unwrap();
    stream.write_all(begin).await.unwrap();
    within("an answer", stream.readable()).await.unwrap();
    for piece in rest.chunks(64 * 1024) {
        within("a piece is taken", stream.write_all(piece)).await.unwrap();
    }
    let mut answer = String::new();
    within("the connection ends", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

fn assert_whole(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "not {status}: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not even a head: {answer}"));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(body.len().to_string(), length, "{answer}");
    assert!(head.contains("\r\nconnection: close"), "{answer}");
}

/// Returns bodies of `length` bytes with their headers, in every way that a client may send one.
fn bodies(length: usize) -> [(String, Vec<u8>); 4] {
    let plain = vec![b' '; length];
    let chunked = [format!("{length:x}\r\n").as_bytes(), &plain, b"\r\n0\r\n\r\n"].concat();
    let (by_length, by_chunks) = (format!("content-length: {length}"), "transfer-encoding: chunked".to_owned());
    [
        (format!("{by_length}\r\nexpect: 100-continue"), plain.clone()),
        (by_length, plain),
        (format!("{by_chunks}\r\nexpect: 100-continue"), chunked.clone()),
        (by_chunks, chunked),
    ]
}

#[tokio::test]
async fn a_client_that_sends_on_after_a_refusal_reads_all_of_it() {
    let key = "0123456789abcdef0123456789abcdef";
    let server = Setup::new().without_image().env("API_KEYS", key).start().await;
    let ours = format!("host: 127.0.0.1:{}\r\ncontent-type: application/json", server.port());
    let known = format!("{ours}\r\nauthorization: Bearer {key}");
    let head = |start: &str, head: &str, framing: &str| format!("{start} HTTP/1.1\r\n{head}\r\n{framing}\r\n\r\n");

    for (status, start, headers) in [
        (400, "POST /task", "x-a: b".to_owned()),
        (421, "POST /task", "host: evil.example".to_owned()),
        (403, "POST /task", format!("{ours}\r\nsec-fetch-site: cross-site")),
        (415, "POST /task", format!("{known}\r\ncontent-type: text/plain")),
        (401, "POST /task", ours.clone()),
        (404, "POST /nowhere", known.clone()),
        (405, "PATCH /task", known.clone()),
    ] {
        for (framing, body) in bodies(1_000_000) {
            let answer = send_to_the_end(&server, head(start, &headers, &framing).as_bytes(), &body).await;
            assert_whole(&answer, status);
        }
    }
    // The body is too long, either according to its head or after that much was read.
    let [expecting, by_length, _, (by_chunks, chunked)] = bodies(5_000_000);
    for (framing, body) in [expecting, by_length] {
        let answer = send_to_the_end(&server, head("POST /task", &known, &framing).as_bytes(), &body).await;
        assert_whole(&answer, 413);
    }
    let (first, rest) = chunked.split_at(4 * 1024 * 1024 + 64);
    let begin = [head("POST /task", &known, &by_chunks).as_bytes(), first].concat();
    assert_whole(&send_to_the_end(&server, &begin, rest).await, 413);
    // A head without an end is refused before all of it has arrived.
    let begin = format!("GET /health HTTP/1.1\r\n{ours}\r\nx-a: {}", "b".repeat(100 * 1024));
    let answer = send_to_the_end(&server, begin.as_bytes(), rest).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.with_key(key).finish().await;
}

/// An ambiguous request gets at most one answer, either an error or that of a single request.
#[tokio::test]
async fn one_request_is_never_two() {
    let server = Setup::new().without_image().start().await;
    let inner = "DELETE /session/victim HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n";
    let start = "POST /session/x/reset HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-type: application/json\r\n";
    let chunked = "transfer-encoding: chunked";
    let attempts = [
        format!("{start}content-length: 4\r\n{chunked}\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}{chunked}\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}content-length: 0\r\ncontent-length: 70\r\n\r\n{inner}"),
        format!("{start}content-length: 0, 70\r\n\r\n{inner}"),
        format!("{start}content-length: +0\r\n\r\n{inner}"),
        format!("{start}content-length: -1\r\n\r\n{inner}"),
        format!("{start}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}{chunked}\r\n{chunked}\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}{chunked} \r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("{start}x-a: b\r\n {chunked}\r\n\r\n{inner}"),
        format!("{start}{chunked}\r\n\r\n-1\r\n\r\n{inner}"),
        format!("{start}{chunked}\r\n\r\nffffffffffffffffff\r\n\r\n{inner}"),
        format!("{start}{chunked}\r\n\r\n0;x=\"\n\"\r\n\r\n{inner}"),
        format!("POST /session/x/reset HTTP/1.1\nhost: 127.0.0.1:PORT\n{chunked}\n\n0\n\n{inner}"),
        format!("POST /session/x/reset HTTP/1.0\r\nhost: 127.0.0.1:PORT\r\n{chunked}\r\n\r\n0\r\n\r\n{inner}"),
    ];
    let answers = futures::future::join_all(attempts.iter().map(|bytes| say(&server, bytes))).await;
    for (bytes, answer) in attempts.iter().zip(answers) {
        assert!(answer.matches("HTTP/1.").count() <= 1, "two answers to {bytes:?}: {answer}");
        assert!(!answer.contains(r#""deleted""#), "{bytes:?}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{bytes:?}: {answer}");
    }
    server.finish().await;
}
