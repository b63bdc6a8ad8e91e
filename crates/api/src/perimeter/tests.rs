use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::any;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tower::ServiceExt as _;

use super::{Perimeter, Refusal, check_body, check_source, secure};

fn perimeter(listens_on: &str) -> Perimeter {
    let hosts = "runner.example.com, proxy.example:8443".parse().unwrap();
    Perimeter::new(listens_on.parse().unwrap(), hosts, "https://app.example.com".parse().unwrap())
}

fn check(at: &str, target: &str, lines: &[(&str, &str)]) -> Result<(), Refusal> {
    check_version(Version::HTTP_11, at, target, lines)
}

fn check_version(version: Version, at: &str, target: &str, lines: &[(&str, &str)]) -> Result<(), Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let local = Some("192.0.2.7:3456".parse().unwrap());
    perimeter(at).check(&Method::GET, &target.parse::<Uri>().unwrap(), version, &headers, local)
}

const HERE: &str = "127.0.0.1:3456";

#[test]
fn hosts_that_are_ours() {
    for host in [
        "127.0.0.1:3456",
        "127.0.0.1",
        "localhost:3456",
        "LocalHost",
        "[::1]:3456",
        "[::1]",
        "127.8.9.1:3456",
        "[::ffff:127.0.0.1]:3456",
        "runner.example.com",
        "RUNNER.example.com:9",
        "proxy.example:8443",
    ] {
        assert_eq!(check(HERE, "/", &[("host", host)]), Ok(()), "{host}");
    }
}

#[test]
fn a_health_check_by_http_1_0_needs_no_host() {
    let check = |target, lines: &[(&str, &str)]| check_version(Version::HTTP_10, HERE, target, lines);
    for target in ["/", "/health", "/ready"] {
        assert_eq!(check(target, &[]), Ok(()), "{target}");
    }
    let missing = Err(Refusal::InvalidHost("it is missing"));
    assert_eq!(check("/sessions", &[]), missing);
    assert_eq!(check("/health", &[("origin", "http://evil.example")]), missing);
    assert!(matches!(check("/health", &[("host", "evil.example")]), Err(Refusal::HostNotAllowed(_))));
    assert_eq!(check_version(Version::HTTP_11, HERE, "/health", &[]), missing);
}

#[test]
fn hosts_that_are_not() {
    for host in [
        "evil.example",
        "evil.example:3456",
        "127.0.0.1.evil.example:3456",
        "localhost.evil.example",
        "localhost:80",
        "127.0.0.1:3457",
        "proxy.example",
        "proxy.example:80",
        "0.0.0.0:3456",
        "192.0.2.7:3456",
        "127.1:3456",
        "2130706433:3456",
        "0x7f000001",
        "0177.0.0.1",
        "[::2]:3456",
        "runner.example.com.evil.example",
        "xlocalhost",
    ] {
        assert!(matches!(check(HERE, "/", &[("host", host)]), Err(Refusal::HostNotAllowed(_))), "{host}");
    }
    for host in [
        "",
        " ",
        ":3456",
        "localhost:",
        "localhost:x",
        "localhost:+3456",
        "localhost:0",
        "localhost:99999",
        "localhost.:3456",
        "user@localhost:3456",
        "localhost@evil.example",
        "localhost:3456@evil.example",
        "localhost/evil",
        "localhost,evil",
        "::1",
        "[::1",
        "[::1]x",
        "[::1%lo]",
        "[localhost]",
        "local host",
        "localhost:3456:3456",
        "a..b",
        "%6cocalhost",
        "localhost#",
        "localhost?",
        "localhost\\evil",
    ] {
        assert!(matches!(check(HERE, "/", &[("host", host)]), Err(Refusal::InvalidHost(_))), "{host:?}");
    }
    assert!(matches!(check(HERE, "/", &[]), Err(Refusal::InvalidHost(_))));
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert!(matches!(check(HERE, "/", &twice), Err(Refusal::InvalidHost(_))));
    for target in ["http://evil.example/", "http://localhost:3456/", "http://u@127.0.0.1:3456/"] {
        assert!(matches!(check(HERE, target, &[("host", HERE)]), Err(Refusal::InvalidHost(_))), "{target}");
    }
    assert_eq!(check(HERE, "http://127.0.0.1:3456/health", &[("host", HERE)]), Ok(()));
}

#[test]
fn the_address_that_we_listen_on_is_a_name() {
    assert_eq!(check("192.0.2.1:3456", "/", &[("host", "192.0.2.1:3456")]), Ok(()));
    assert!(check("192.0.2.1:3456", "/", &[("host", "192.0.2.7:3456")]).is_err());
    // If the server listens on all addresses, only the connection's address is valid.
    assert_eq!(check("0.0.0.0:3456", "/", &[("host", "192.0.2.7:3456")]), Ok(()));
    assert!(check("0.0.0.0:3456", "/", &[("host", "192.0.2.1:3456")]).is_err());
    assert!(check("0.0.0.0:3456", "/", &[("host", "evil.example:3456")]).is_err());
}

#[test]
fn origins() {
    let origin = |host, origin| check(HERE, "/task", &[("host", host), ("origin", origin)]);
    for (host, own) in [
        ("localhost:3456", "http://localhost:3456"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("runner.example.com", "https://runner.example.com"),
        ("runner.example.com", "https://runner.example.com:443"),
        ("[::1]:3456", "http://[::1]:3456"),
        (HERE, "https://app.example.com"),
    ] {
        assert_eq!(origin(host, own), Ok(()), "{own}");
    }
    for foreign in [
        "null",
        "",
        "http://evil.example",
        "http://localhost:3456",
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "file://",
        "ftp://127.0.0.1:3456",
        "http://127.0.0.1:3456/",
        "http://u@127.0.0.1:3456",
        "127.0.0.1:3456",
        "*",
        "http://127.0.0.1:3456 http://evil.example",
    ] {
        assert_eq!(origin(HERE, foreign), Err(Refusal::OriginNotAllowed), "{foreign}");
    }
    let twice = [("host", HERE), ("origin", "http://127.0.0.1:3456"), ("origin", "http://127.0.0.1:3456")];
    assert_eq!(check(HERE, "/", &twice), Err(Refusal::OriginNotAllowed));
}

#[test]
fn what_browsers_say_about_the_page() {
    let site = |target, more: &[(&str, &str)]| check(HERE, target, &[&[("host", HERE)], more].concat());
    for own in ["same-origin", "none"] {
        assert_eq!(site("/tasks", &[("sec-fetch-site", own)]), Ok(()));
    }
    for foreign in ["same-site", "cross-site", "", "SAME-ORIGIN", "other"] {
        assert_eq!(site("/tasks", &[("sec-fetch-site", foreign)]), Err(Refusal::CrossSite), "{foreign}");
    }
    let followed = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(site("/", &followed), Ok(()));
    assert_eq!(site("/tasks", &followed), Err(Refusal::CrossSite));
    let framed = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    assert_eq!(site("/", &framed), Err(Refusal::CrossSite));
    assert_eq!(site("/tasks", &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")]), Ok(()));
}

fn app() -> Router {
    let state = Arc::new(perimeter(HERE));
    Router::new()
        .route("/", any(|| async { "done" }))
        .layer(from_fn(check_body))
        .layer(from_fn_with_state(state, check_source))
        .layer(map_response(secure))
}

async fn post(lines: &[(&str, &str)]) -> http::Response<Body> {
    let request = Request::post("/").header("host", HERE);
    let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn bodies_say_that_they_are_json() {
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        assert_eq!(post(&[("content-length", "2"), ("content-type", kind)]).await.status(), StatusCode::OK, "{kind}");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "json",
        "text/json",
        "application/jsonp",
        "text/plain; application/json",
        "application/+json",
        "text/plain, application/json",
    ] {
        for length in [("content-length", "2"), ("transfer-encoding", "chunked")] {
            let answer = post(&[length, ("content-type", kind)]).await;
            assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        }
    }
    let json = ("content-type", "application/json");
    assert_eq!(post(&[("content-length", "2"), json, json]).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[("content-length", "2")]).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[("content-length", "0")]).await.status(), StatusCode::OK);
    assert_eq!(post(&[]).await.status(), StatusCode::OK);
    assert_eq!(post(&[("content-length", "99999999"), json]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_chunked_request_is_the_last_of_its_connection() {
    let answer = post(&[("transfer-encoding", "chunked"), ("content-type", "application/json")]).await;
    assert_eq!(answer.headers()["connection"], "close");
    let both = post(&[("transfer-encoding", "chunked"), ("content-length", "2")]).await;
    assert_eq!(
        (both.status(), &both.headers()["connection"]),
        (StatusCode::BAD_REQUEST, &HeaderValue::from_static("close"))
    );
}
