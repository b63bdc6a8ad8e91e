//! `GET /watch`: changes of all sessions and tasks, filtered by the caller's rights. No container needed.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Value, json};

use crate::access::{ADMIN, Caller, forgotten, make_key, revoke};
use crate::bounds::within;
use crate::server::{Setup, TestServer};

/// A feed, cut where an item ends: a line, or an empty one.
pub(crate) struct Feed {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    end_of_item: &'static str,
}

impl Feed {
    /// The lines of all changes, for a caller without a key.
    pub(crate) async fn of_all(server: &TestServer) -> Self {
        Self::open(&Caller::new(server, 1, None), "application/x-ndjson", "\n").await
    }

    async fn open(caller: &Caller<'_>, accept: &str, end_of_item: &'static str) -> Self {
        let answer = caller.request("GET", "/watch").header("accept", accept).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], accept);
        Feed { body: answer.bytes_stream().boxed(), text: String::new(), end_of_item }
    }

    /// Returns `None` once the server ended the feed.
    async fn item(&mut self) -> Option<String> {
        loop {
            if let Some((item, rest)) = self.text.split_once(self.end_of_item) {
                let (item, begins) = (item.to_owned(), self.text.len() - rest.len());
                self.text.drain(..begins);
                return Some(item);
            }
            let piece = within("news", self.body.next()).await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// Lines up to the first that fits, which is the last.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let line: Value = serde_json::from_str(&self.item().await.expect("the feed ended")).unwrap();
            let last = fits(&line);
            seen.push(line);
            if last {
                return seen;
            }
        }
    }
}

async fn ended(server: &TestServer, session: &str) -> Value {
    let task = server.enqueue(session, "say:hello").await;
    crate::access::ended(server, &task).await;
    server.get(&format!("/task/{task}")).await.ok()
}

fn rests(line: &Value, session: &str) -> bool {
    line["session"]["sessionId"] == session && line["session"]["state"] == "cold" && line["session"]["busy"] == false
}

#[tokio::test]
async fn who_watches_is_told_of_each_change_that_it_may_see() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "read", "--sessions", "mine-"]).await;
    let (admin, mine) = (Caller::new(&server, 1, Some(ADMIN)), Caller::new(&server, 2, Some(&key)));
    let mut all = Feed::open(&admin, "application/x-ndjson", "\n").await;
    let mut own = Feed::open(&mine, "application/x-ndjson", "\n").await;
    let mut events = Feed::open(&mine, "text/event-stream", "\n\n").await;
    for feed in [&mut all, &mut own] {
        assert_eq!(feed.item().await.unwrap(), r#"{"type":"reload"}"#);
    }
    assert_eq!(events.item().await.unwrap(), "event: reload\ndata: {}");

    let theirs = ended(&server, "theirs").await;
    let task = ended(&server, "mine-1").await;
    let told = all.until(|line| rests(line, "mine-1")).await;

    // The feed publishes a task when it begins and when it ends, in the form of its record.
    for record in [&theirs, &task] {
        let lines: Vec<&Value> = told.iter().filter(|line| line["task"]["id"] == record["id"]).collect();
        assert!(lines.len() >= 2, "{told:#?}");
        assert_eq!(lines[0]["task"]["status"], "queued");
        assert_eq!(**lines.last().unwrap(), json!({ "type": "task", "task": record }));
    }
    // The latest row of the feed equals the row of the list.
    let list = server.get("/sessions").await.ok();
    let last = told.last().unwrap();
    let row = list.as_array().unwrap().iter().find(|row| row["sessionId"] == "mine-1").unwrap();
    assert_eq!(*last, json!({ "type": "session", "session": row }));

    // A caller that sees only its own sessions gets the same, in both forms.
    let lines = own.until(|line| rests(line, "mine-1")).await;
    let visible = |line: &&Value| {
        [&line["task"]["sessionId"], &line["session"]["sessionId"]].into_iter().any(|id| id == "mine-1")
    };
    assert_eq!(lines.iter().collect::<Vec<_>>(), told.iter().filter(visible).collect::<Vec<_>>());
    for line in &lines {
        let kind = line["type"].as_str().unwrap();
        assert_eq!(events.item().await.unwrap(), format!("event: {kind}\ndata: {}", line[kind]));
    }

    server.delete("/session/theirs").await.ok();
    server.delete("/session/mine-1").await.ok();
    let told = all.until(|line| line["type"] == "session_deleted" && line["sessionId"] == "mine-1").await;
    assert!(told.contains(&json!({ "type": "session_deleted", "sessionId": "theirs" })), "{told:#?}");
    let deleted = own.until(|line| line["type"] == "session_deleted").await;
    assert_eq!(*deleted.last().unwrap(), json!({ "type": "session_deleted", "sessionId": "mine-1" }));

    // Revoking a key ends its feeds; the others stay open.
    revoke(&server, &key);
    forgotten(&server, &key).await;
    while own.item().await.is_some() {}
    while events.item().await.is_some() {}
    ended(&server, "after").await;
    all.until(|line| rests(line, "after")).await;
    server.finish().await;
}
