//! MODEL_PRICES_URL.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use observe::metrics::{Metrics, Standing};

use super::world::*;
use crate::{FeedError, PriceFeed, PriceSource};

/// The status and the body of the next answer.
type Script = Arc<Mutex<(u16, String)>>;

async fn table_server(body: &str) -> (Server, Script) {
    let script: Script = Arc::new(Mutex::new((200, body.to_owned())));
    let answers = Arc::clone(&script);
    let server = Server::start(move |_, _| {
        let (status, body) = answers.lock().unwrap().clone();
        Response::builder().status(status).header("location", "http://127.0.0.1:1/").body(Body::from(body)).unwrap()
    })
    .await;
    (server, script)
}

fn open(world: &World, url: &str, directory: &Path, names: Names) -> Result<PriceFeed, FeedError> {
    let metrics = Metrics::default();
    PriceFeed::open(url.parse().unwrap(), directory, Arc::new(names), world.gateway.clone(), metrics)
}

fn source_of(world: &World, model: &str) -> Option<PriceSource> {
    world.gateway.prices().list().iter().find(|known| known.name == model).map(|known| known.source)
}

const TABLE: &str =
    r#"{"models":{"claude-next-9":{"input":1,"output":2},"claude-opus-4-6":{"input":0.1,"output":0.2}}}"#;

#[tokio::test]
async fn a_table_is_fetched_kept_and_replaced() {
    let (server, script) = table_server(TABLE).await;
    let directory = tempfile::tempdir().unwrap();
    let world = Setup::before(server.address).open();
    let url = server.url("/prices.json?token=secret-token");
    let feed = open(&world, &url, directory.path(), Names::default()).unwrap();
    assert_eq!(source_of(&world, "claude-next-9"), None);

    let refreshed = feed.refresh().await.unwrap();
    assert_eq!(refreshed.changes.changed, ["claude-next-9"]);
    assert_eq!(refreshed.changes.lower, ["claude-opus-4-6"]);
    assert_eq!(source_of(&world, "claude-next-9"), Some(PriceSource::Url));
    assert_eq!(server.seen()[0].line, "GET /prices.json?token=secret-token");
    assert_eq!(server.seen()[0].header("authorization"), None);
    assert_eq!(world.log.count("prices below the built-in ones"), 1);
    let since = world.gateway.prices().fetched_since()["claude-next-9"];

    // The same table again changes nothing, and is not reported again.
    assert_eq!(feed.refresh().await.unwrap().changes.changed, Vec::<String>::new());
    assert_eq!(world.log.count("prices below the built-in ones"), 1);

    // The next start has the prices before it fetches, with the time since which they are known.
    let next = Setup::before(server.address).open();
    let feed = open(&next, &url, directory.path(), Names::default()).unwrap();
    assert_eq!(source_of(&next, "claude-next-9"), Some(PriceSource::Url));
    assert_eq!(next.gateway.prices().fetched_since()["claude-next-9"], since);
    feed.refresh().await.unwrap();
    assert_eq!(next.gateway.prices().fetched_since()["claude-next-9"], since);
    *script.lock().unwrap() = (200, TABLE.replace(r#""output":2}"#, r#""output":3}"#));
    assert_eq!(feed.refresh().await.unwrap().changes.changed, ["claude-next-9"]);
    assert!(next.gateway.prices().fetched_since()["claude-next-9"] > since);

    // A table of another address is not used.
    let other = Setup::before(server.address).open();
    open(&other, &server.url("/other.json"), directory.path(), Names::default()).unwrap();
    assert_eq!(source_of(&other, "claude-next-9"), None);
}

#[tokio::test]
async fn after_a_failure_the_earlier_prices_stay_and_it_is_logged_once() {
    let (server, script) = table_server(TABLE).await;
    let directory = tempfile::tempdir().unwrap();
    let metrics = Metrics::default();
    let world = Setup::before(server.address).open();
    let url = server.url("/prices.json?token=secret-token").parse().unwrap();
    let feed =
        PriceFeed::open(url, directory.path(), Arc::new(Names::default()), world.gateway.clone(), metrics.clone());
    let feed = feed.unwrap();
    feed.refresh().await.unwrap();
    let kept = std::fs::read(directory.path().join(PriceFeed::FILE)).unwrap();
    for (status, body, words) in [
        (404, String::new(), "answered 404"),
        (302, String::new(), "redirects are not followed"),
        (200, "<html>".to_owned(), "expected value"),
        (200, r#"{"models":{"claude-next-9":{"input":1}}}"#.to_owned(), "`models.claude-next-9`: output is missing"),
        (200, format!("{TABLE}{}", " ".repeat(5 << 20)), "more than 4194304 bytes"),
    ] {
        *script.lock().unwrap() = (status, body);
        for _ in 0..2 {
            let error = feed.refresh().await.unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("secret-token"), "{error}");
        }
        assert_eq!(world.log.count(words), 1, "{words}");
        assert_eq!(source_of(&world, "claude-next-9"), Some(PriceSource::Url));
    }
    assert_eq!(std::fs::read(directory.path().join(PriceFeed::FILE)).unwrap(), kept);
    let exposed = metrics.expose(&Standing::default());
    for line in ["outcome=\"changed\"} 1\n", "outcome=\"failed\"} 10\n"] {
        assert!(exposed.contains(&format!("claude_runner_price_fetches_total{{{line}")), "{exposed}");
    }
}

#[tokio::test]
async fn a_damaged_kept_table_is_not_used() {
    let (server, _script) = table_server(TABLE).await;
    let directory = tempfile::tempdir().unwrap();
    let url = server.url("/prices.json");
    let file = directory.path().join(PriceFeed::FILE);
    let of =
        |table: &str| format!(r#"{{"url":"{url}","fetched":"2026-11-29T00:00:00Z","since":{{}},"table":{table}}}"#);
    for damaged in ["{", "", &of("{}"), &of(r#"{"models":{"claude-next-9":{"input":-1,"output":2}}}"#)] {
        std::fs::write(&file, damaged).unwrap();
        let world = Setup::before(server.address).open();
        let feed = open(&world, &url, directory.path(), Names::default()).unwrap();
        assert_eq!(world.log.count("the kept prices are damaged"), 1, "{damaged}");
        assert_eq!(source_of(&world, "claude-next-9"), None);
        feed.refresh().await.unwrap();
        assert_eq!(source_of(&world, "claude-next-9"), Some(PriceSource::Url));
    }
}

/// The operator names the address, so it may be a private one. It never is a metadata service or the server itself.
#[tokio::test]
async fn the_table_comes_from_the_named_place_only() {
    let (server, _script) = table_server(TABLE).await;
    let directory = tempfile::tempdir().unwrap();
    let world = Setup::before(server.address).open();
    let port = server.address.port();
    let names = Names::of(&[("prices.example", "127.0.0.1"), ("meta.example", "169.254.169.254")]);
    let feed = |url: &str| open(&world, url, directory.path(), names.clone());

    feed(&format!("http://prices.example:{port}/")).unwrap().refresh().await.unwrap();
    for url in ["http://meta.example/", "http://169.254.169.254/latest", "https://[fe80::1]/"] {
        let error = feed(url).unwrap().refresh().await.unwrap_err().to_string();
        assert!(error.contains("is blocked: link-local, metadata or reserved address"), "{url}: {error}");
    }
    let own = feed(&format!("http://prices.example:{port}/")).unwrap();
    own.set_own_listener(server.address);
    let error = own.refresh().await.unwrap_err().to_string();
    assert!(error.contains("belongs to Claude Runner"), "{error}");
    for url in ["ftp://prices.example/", "https://user:word@prices.example/", "file:///etc/passwd"] {
        assert!(matches!(feed(url), Err(FeedError::Url(_))), "{url}");
    }
}
