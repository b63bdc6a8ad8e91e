//! Cursors across the lives of a session. No container needed.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::bounds::within;
use crate::server::{Setup, TestServer};

/// Runs this many tasks to their ends. Returns the session afterwards.
async fn live(server: &TestServer, tasks: usize) -> Value {
    for _ in 0..tasks {
        let task = server.enqueue("s", "say:hello").await;
        crate::access::ended(server, &task).await;
    }
    server.get("/session/s").await.ok()
}

fn cursor(session: &Value, seq: u64) -> String {
    format!("{}-{seq}", session["epoch"].as_str().unwrap())
}

/// Returns the epoch of `connected` and the first frames after it.
async fn frames(server: &TestServer, since: &str, count: usize) -> (Value, Vec<Value>) {
    let mut stream = server.subscribe_at(&format!("/stream/s?since={since}")).await;
    stream.read(count).await;
    (stream.connected["epoch"].take(), stream.events)
}

/// Returns the ids and the first data of server-sent events.
async fn server_sent(server: &TestServer, last_event_id: &str, count: usize) -> Vec<(String, Value)> {
    let request = server.request(reqwest::Method::GET, "/session/s/events").header("last-event-id", last_event_id);
    let mut body = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        let piece = within("an event", body.next()).await.expect("the stream ended").unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let blocks = text.split("\n\n").take(count);
    blocks.map(|block| (field(block, "id").unwrap(), field(block, "data").unwrap().parse().unwrap())).collect()
}

/// Returns the lines of an export, and the header with their epoch.
async fn export(server: &TestServer, path: &str) -> (String, Vec<Value>) {
    let request = server.request(reqwest::Method::GET, path).header("accept", "application/x-ndjson");
    let response = request.send().await.unwrap();
    let epoch = response.headers()["session-epoch"].to_str().unwrap().to_owned();
    (epoch, response.text().await.unwrap().lines().map(|line| line.parse().unwrap()).collect())
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_cursor_of_a_deleted_session_skips_nothing_of_the_next_one() {
    let server = Setup::new().without_image().start().await;
    let first = live(&server, 1).await;
    let last = first["seq"].as_u64().unwrap();
    let mut open = server.subscribe_since("s", 0).await;
    assert_eq!(open.connected["epoch"], first["epoch"]);
    server.delete("/session/s").await.ok();
    assert_eq!(open.until_closed().await, 1000);

    // The subscriber connects before the next life begins: its first event follows the gap.
    let old = cursor(&first, last);
    let mut early = server.subscribe_at(&format!("/stream/s?since={old}")).await;
    let second = live(&server, 3).await;
    let epoch = second["epoch"].as_str().unwrap();
    assert_ne!(epoch, first["epoch"]);
    assert!(second["seq"].as_u64().unwrap() > last, "the next life has no event where the old cursor stands");
    assert_eq!(early.connected["epoch"], epoch);
    let gap = json!({ "type": "gap", "from": 1, "to": 0, "reason": "renewed", "epoch": epoch });
    early.read(3).await;
    assert_eq!((&early.events[0], seqs(&early.events[1..])), (&gap, vec![1, 2]));

    // These cursors belong to another life or to none, or are plain numbers beyond the newest event.
    for foreign in [old, cursor(&first, 0), "0123456789abcdef-1".to_owned(), cursor(&second, 999), "999".to_owned()] {
        let (connected, seen) = frames(&server, &foreign, 3).await;
        assert_eq!(connected, epoch, "{foreign}");
        assert_eq!((&seen[0], seqs(&seen[1..])), (&gap, vec![1, 2]), "{foreign}");
        let seen = server_sent(&server, &foreign, 3).await;
        assert_eq!(seen[0], (cursor(&second, 0), gap.clone()), "{foreign}");
        let expected = [1, 2].map(|seq| (cursor(&second, seq), seq));
        assert_eq!([1, 2].map(|at| (seen[at].0.clone(), seen[at].1["seq"].as_u64().unwrap())), expected, "{foreign}");
        let (header, lines) = export(&server, &format!("/session/s/events?since={foreign}")).await;
        assert_eq!((header.as_str(), &lines[0]), (epoch, &gap), "{foreign}");
        assert_eq!(seqs(&lines[1..]), (1..=second["seq"].as_u64().unwrap()).collect::<Vec<_>>(), "{foreign}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_cursor_of_the_present_life_goes_on_where_it_stands_also_after_a_restart() {
    let mut server = Setup::new().without_image().start().await;
    // A subscriber that connects before the session exists gets its epoch.
    let early = server.subscribe("s").await;
    let before = live(&server, 2).await;
    assert_eq!(early.connected["epoch"], before["epoch"]);
    drop(early);
    server.kill().await;
    server.start_again().await;
    let session = server.get("/session/s").await.ok();
    assert_eq!(session["epoch"], before["epoch"]);
    assert_eq!(server.get("/sessions").await.ok()[0]["epoch"], before["epoch"]);
    for own in ["2".to_owned(), cursor(&session, 2)] {
        assert_eq!(seqs(&frames(&server, &own, 2).await.1), [3, 4], "{own}");
        let seen = server_sent(&server, &own, 2).await;
        assert_eq!(seen.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), [3, 4].map(|seq| cursor(&session, seq)));
        let (header, lines) = export(&server, &format!("/session/s/events?since={own}")).await;
        assert_eq!((header.as_str(), seqs(&lines)[0]), (session["epoch"].as_str().unwrap(), 3), "{own}");
    }
    // A task's events use the cursor of their session.
    let task = server.get("/tasks?limit=1").await.ok()[0]["taskId"].as_str().unwrap().to_owned();
    let (header, _) = export(&server, &format!("/task/{task}/logs?format=ndjson")).await;
    assert_eq!(header, session["epoch"].as_str().unwrap());

    for wrong in ["x", "-1", "ab-1", "0123456789abcdef-", "0123456789ABCDEF-1"] {
        let problem = server.get(&format!("/session/s/events?since={wrong}")).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with("since: "), "{problem}");
    }
    server.finish().await;
}
