//! What the server does before it reads a request, as raw bytes on its socket: no task comes of any of it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bounds::within;
use crate::server::{Setup, TestServer};

const BODY: &str = r#"{"sessionId":"s","message":"hi","async":true}"#;

/// All that the server says to these bytes, up to the end of the connection, which the client's own half has told.
async fn say(server: &TestServer, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port().parse().unwrap())).await.unwrap();
    stream.write_all(bytes.replace("PORT", server.port()).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // A connection that stays open has answered when nothing more comes; the idle timeout of the server ends it too.
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
    }
    let upgrade = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==";
    for head in ["host: evil.example", "host: 127.0.0.1:PORT\r\norigin: http://evil.example"] {
        let answer = say(&server, &format!("GET /stream/s HTTP/1.1\r\n{head}\r\n{upgrade}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.get("/tasks").await.ok(), serde_json::json!([]));
    // And what is ours is not hindered.
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

/// Whatever two readers may disagree about is answered once at most, as an error or as one request.
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
