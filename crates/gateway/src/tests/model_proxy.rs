//! A proxy that answers in place of the model API: the task names the proxy, and not the credential.

use std::net::SocketAddr;
use std::time::Duration;

use domain::usage::Cost;
use network_access::{NetworkAccess, NetworkSettings};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::{Gateway, GatewayFailure, OutageBounds};

const HTML: &str = "content-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";

/// A proxy that answers each request alike.
async fn proxy_answering(head: &str, rest: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n{rest}");
    TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // A plain request has a body, which ends like the JSON that it is.
            while !(request.ends_with(b"\r\n\r\n") && !request.starts_with(b"POST") || request.ends_with(b"}")) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

/// A gateway whose model API is behind this proxy, and whose outages end with their first try.
fn behind(proxy: &str, model: &str) -> Setup {
    let mut setup = Setup::before(([127, 0, 0, 1], 1).into());
    let proxy = Some(proxy.to_owned());
    let settings = NetworkSettings { http_proxy: proxy.clone(), https_proxy: proxy, ..NetworkSettings::default() };
    setup.settings.network = NetworkAccess::new(&settings).unwrap();
    setup.settings.upstream = model.parse().unwrap();
    let (left_to_cli, total) = (Duration::ZERO, Duration::ZERO);
    setup.settings.outage = OutageBounds { left_to_cli, total, ..OutageBounds::default() };
    setup
}

async fn unreachable(world: &World) -> String {
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (429, Some("false")), "{}", answer.text);
    match world.sandbox.failure() {
        Some(GatewayFailure::Unreachable { sentence }) => sentence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_named_with_its_answer() {
    for (status, user, words) in [
        (
            "407 Proxy Authentication Required",
            "",
            "requires a user name and a password: HTTPS_PROXY=http://user:password@host:port",
        ),
        (
            "407 Proxy Authentication Required",
            "me:s3cret@",
            "does not accept the user name and the password in HTTPS_PROXY",
        ),
        ("403 Forbidden", "", ""),
        ("502 Bad Gateway", "me:s3cret@", ""),
        ("504 Gateway Timeout", "", ""),
    ] {
        let address = proxy_answering(status, HTML).await;
        let setup = behind(&format!("http://{user}{address}"), "https://model.example");
        let reached = Gateway::reach(&setup.settings).await.unwrap_err();
        let world = setup.open();
        let sentence = unreachable(&world).await;
        assert_eq!(world.sandbox.usage().cost, Cost::ZERO, "{status}");
        let expected = format!("the proxy {address} answered {status}");
        assert!(sentence.starts_with(&format!("the model API could not be reached: {expected}")), "{sentence}");
        assert!(sentence.contains(words) && !sentence.contains("s3cret"), "{sentence}");
        assert!(reached.starts_with(&expected), "{reached}");
    }
}

#[tokio::test]
async fn a_proxy_that_answers_a_plain_request_itself_is_named() {
    for (status, words) in [
        ("407 Proxy Authentication Required", "requires a user name and a password: HTTP_PROXY="),
        ("403 Forbidden", ""),
        ("502 Bad Gateway", ""),
        ("503 Service Unavailable", ""),
        ("504 Gateway Timeout", ""),
    ] {
        let address = proxy_answering(status, HTML).await;
        let setup = behind(&format!("http://{address}"), "http://model.example/base");
        let reached = Gateway::reach(&setup.settings).await.unwrap_err();
        let world = setup.open();
        let sentence = unreachable(&world).await;
        // With 502 and 504 the proxy may have passed the request on.
        let is_charged = matches!(&status[..3], "502" | "504");
        assert_eq!(world.sandbox.usage().cost > Cost::ZERO, is_charged, "{status}");
        let expected = format!("the proxy {address} answered {status}");
        assert!(sentence.contains(&expected) && sentence.contains(words), "{sentence}");
        assert!(reached.starts_with(&expected), "{reached}");
    }
}

#[tokio::test]
async fn a_lasting_refusal_of_a_proxy_ends_the_task_at_once() {
    for (status, is_lasting) in [("407 No", true), ("403 No", true), ("502 No", false)] {
        let address = proxy_answering(status, HTML).await;
        let mut setup = behind(&format!("http://{address}"), "https://model.example");
        setup.settings.outage = OutageBounds::default();
        let answer = setup.open().ask().await;
        let expected = if is_lasting { (429, Some("false")) } else { (502, None) };
        assert_eq!((answer.status.as_u16(), answer.should_retry()), expected, "{status}");
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for model in ["https://model.example", "http://model.example"] {
        let sentence = unreachable(&behind(&format!("http://me:s3cret@{nobody}"), model).open()).await;
        let words = format!("the proxy {nobody} could not be used: ");
        assert!(sentence.contains(&words) && sentence.contains("nothing listens there"), "{sentence}");
        assert!(!sentence.contains("s3cret"), "{sentence}");
    }
}

#[tokio::test]
async fn an_answer_of_the_api_through_a_proxy_stays_its_own() {
    let body =
        json!({ "type": "error", "error": { "type": "permission_error", "message": "not with this key" } }).to_string();
    let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let address = proxy_answering("403 Forbidden", &rest).await;
    let world = behind(&format!("http://{address}"), "http://model.example").open();
    assert_eq!(world.ask().await.status, 401);
    assert!(
        matches!(world.sandbox.failure(), Some(GatewayFailure::AuthExpired { .. })),
        "{:?}",
        world.sandbox.failure()
    );
}

#[tokio::test]
async fn a_proxy_that_no_setting_names_is_told_from_the_api() {
    for (status, words) in [
        ("407 Proxy Authentication Required", "a proxy that no setting names answered 407"),
        ("403 Forbidden", "the answer did not come from the model API (text/html"),
    ] {
        let world = Setup::before(proxy_answering(status, HTML).await).open();
        let sentence = unreachable(&world).await;
        assert!(sentence.contains(words), "{sentence}");
    }
}
