//! Tests the requests that the coordinator itself sends on behalf of callers.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderMap;
use network_access::NetworkAccess;
use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::world::Names;
use crate::{Answered, Outbound, OutboundError, Resolve};

fn outbound(rules: &[&str], names: &[(&str, &str)]) -> Outbound {
    Outbound::new(
        rules.iter().map(|rule| rule.parse().unwrap()).collect(),
        Arc::new(Names::of(names)),
        NetworkAccess::default(),
    )
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn post(outbound: &Outbound, to: &str) -> Result<Answered, OutboundError> {
    outbound.post(&url(to), HeaderMap::new(), "{}".into()).await
}

#[tokio::test]
async fn only_the_internet_is_called_unless_a_rule_says_more() {
    let names = [("in.example", "10.0.0.1"), ("meta.example", "169.254.169.254"), ("self.example", "127.0.0.1")];
    let closed = outbound(&[], &names);
    for good in ["https://a.example/", "https://a.example:8443/", "https://8.8.8.8/", "https://in.example/"] {
        assert_eq!(closed.check(&url(good)), Ok(()), "{good}");
    }
    assert!(matches!(closed.check(&url("http://a.example/")), Err(OutboundError::NotEncrypted(_))));
    assert_eq!(closed.check(&url("https://u@a.example/")), Err(OutboundError::UserName));
    assert_eq!(closed.check(&url("https://:p@a.example/")), Err(OutboundError::UserName));
    assert_eq!(closed.check(&url("ftp://a.example/")), Err(OutboundError::NotHttp));
    let inside =
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0x7f.1", "2130706433", "0"];
    for host in inside {
        let found = closed.check(&url(&format!("https://{host}/")));
        assert!(matches!(found, Err(OutboundError::NotPublic { .. })), "{host}: {found:?}");
    }
    for name in ["in.example", "meta.example", "self.example"] {
        let found = post(&closed, &format!("https://{name}/")).await;
        assert!(matches!(found, Err(OutboundError::NotPublic { .. })), "{name}: {found:?}");
    }
    let found = post(&closed, "https://nowhere.example/").await;
    assert!(matches!(found, Err(OutboundError::Unresolved { .. })), "{found:?}");

    // An allowed name may resolve to an internal address, but not to a metadata service. http is allowed if the rule names it.
    let open = outbound(&["in.example", "meta.example", "http://10.0.0.2:8080", "*.wild.example"], &names);
    assert!(matches!(post(&open, "https://meta.example/").await, Err(OutboundError::NotPublic { .. })));
    assert_eq!(open.check(&url("http://10.0.0.2:8080/")), Ok(()));
    for other in ["http://10.0.0.2:8081/", "http://10.0.0.3:8080/"] {
        assert!(matches!(open.check(&url(other)), Err(OutboundError::NotEncrypted(_))), "{other}");
    }
    assert!(matches!(open.check(&url("https://10.0.0.2/")), Err(OutboundError::NotPublic { .. })));
}

#[tokio::test]
async fn the_coordinator_and_the_engine_are_never_called() {
    let outbound = outbound(
        &["http://127.0.0.1:3456", "http://self.example:3456", "http://127.0.0.1:2375"],
        &[("self.example", "127.0.0.1")],
    );
    outbound.set_own_listener("127.0.0.1:3456".parse().unwrap());
    for own in ["http://127.0.0.1:3456/task", "http://127.0.0.1:2375/containers"] {
        assert!(matches!(outbound.check(&url(own)), Err(OutboundError::Protected(_))), "{own}");
        assert!(matches!(post(&outbound, own).await, Err(OutboundError::Protected(_))), "{own}");
    }
    assert!(matches!(post(&outbound, "http://self.example:3456/").await, Err(OutboundError::Protected(_))));
}

/// A name that resolves to another address the second time.
#[derive(Default)]
struct Turning(AtomicUsize);

impl Resolve for Turning {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let address = if self.0.fetch_add(1, Ordering::SeqCst) == 0 { "127.0.0.1" } else { "192.0.2.1" };
        Box::pin(async move { Ok(vec![address.parse().unwrap()]) })
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let resolver = Arc::new(Turning::default());
    let rule = format!("http://turning.example:{port}").parse().unwrap();
    let outbound = Outbound::new(vec![rule], Arc::clone(&resolver) as Arc<dyn Resolve>, NetworkAccess::default());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        // The body has no end, and the request does not read it to its end.
        let head = "HTTP/1.1 503 Later\r\nretry-after: 7\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while stream.write_all(piece.as_bytes()).await.is_ok() {}
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let to = format!("http://turning.example:{port}/hook?a=b");
    // A server that is never called makes the test fail instead of hang.
    let serve = tokio::time::timeout(Duration::from_secs(20), serve);
    let (answered, request) = tokio::join!(post(&outbound, &to), serve);
    let request = request.expect("nobody called");
    assert_eq!(answered, Ok(Answered { status: 503, retry_after: Some(Duration::from_secs(7)) }));
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: turning.example:{port}\r\n")), "{request}");
    assert_eq!(resolver.0.load(Ordering::SeqCst), 1, "looked up once");
}
