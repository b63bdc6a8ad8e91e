//! Lists stay small whatever the records contain. No container needed.

use std::time::Instant;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bounds::within;
use crate::server::{Answer, Setup, TestServer};

/// Almost the largest allowed body.
const LONG: usize = 3_900_000;

async fn submit(server: &TestServer, session: &str, message: &str, more: Value) -> String {
    let mut body = json!({ "sessionId": session, "message": message, "async": true });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = server.request(Method::POST, "/task").json(&body);
    server.send(request).await.expect(202)["taskId"].as_str().unwrap().to_owned()
}

/// Returns the path of the next page, or `None` for the last page.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.headers.get("link")?.to_str().unwrap();
    Some(link.split_once('>').unwrap().0.trim_start_matches('<').to_owned())
}

#[tokio::test]
async fn lists_and_changes_cut_long_texts() {
    let server = Setup::new().without_image().start().await;
    let request = server.request(Method::GET, "/watch").header("accept", "application/x-ndjson");
    let mut changes = request.send().await.unwrap().bytes_stream();
    within("reload", changes.next()).await.unwrap().unwrap();
    let (message, context) = ("ä".repeat(2001), "c".repeat(2001));
    let cut = submit(&server, "a", &message, json!({ "context": context })).await;
    let short = submit(&server, "b", &message[2..], json!({ "context": &context[1..] })).await;

    let list = server.get("/tasks").await.ok();
    let (second, first) = (&list[0], &list[1]);
    assert_eq!((&first["id"], &second["id"]), (&json!(cut), &json!(short)));
    assert_eq!((&first["prompt"], &first["truncated"]), (&json!("ä".repeat(2000)), &json!(true)));
    assert_eq!(first["context"], "c".repeat(2000));
    assert_eq!((&second["prompt"], &second["truncated"]), (&json!("ä".repeat(2000)), &Value::Null));
    let nul = submit(&server, "c", "a\0b", json!({ "context": format!("a\0{context}") })).await;
    let found = server.get("/tasks?limit=1").await.ok();
    assert_eq!((&found[0]["id"], &found[0]["prompt"]), (&json!(nul), &json!("a\0b")));
    assert_eq!(
        (&found[0]["context"], &found[0]["truncated"]),
        (&json!(format!("a\0{}", "c".repeat(1998))), &json!(true))
    );
    let whole = server.get(&format!("/task/{cut}")).await.ok();
    assert_eq!((&whole["prompt"], &whole["context"]), (&json!(message), &json!(context)));
    assert_eq!(whole["truncated"], Value::Null);

    let mut text = String::new();
    let change: Value = loop {
        let found = text.lines().filter(|line| line.contains(&cut)).find_map(|line| serde_json::from_str(line).ok());
        if let Some(change) = found {
            break change;
        }
        let piece = within("the change", changes.next()).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    };
    assert_eq!((&change["task"]["prompt"], &change["task"]["truncated"]), (&first["prompt"], &json!(true)));
    server.finish().await;
}

#[tokio::test]
async fn a_page_ends_before_4_mib() {
    let server = Setup::new().without_image().env("MAX_QUEUE", "1000").start().await;
    // JSON encodes a control character in six bytes.
    let text = "\u{1}".repeat(2000);
    let mut submitted = Vec::new();
    for number in 0..200 {
        submitted.push(submit(&server, &format!("s{}", number % 10), &text, json!({ "context": text })).await);
    }
    submitted.reverse();
    let (mut listed, mut path, mut pages) = (Vec::new(), "/tasks?limit=500".to_owned(), 0);
    loop {
        let answer = server.send(server.request(Method::GET, &path)).await;
        let next = next(&answer);
        let page = answer.ok();
        assert!(page.to_string().len() < 4 << 20);
        listed.extend(page.as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = next else { break };
        path = next;
    }
    assert!(pages > 1);
    assert_eq!(listed, submitted);
    server.finish().await;
}

#[tokio::test]
async fn long_messages_do_not_fill_the_memory_of_a_list() {
    let server = Setup::new().without_image().start().await;
    let message = "m".repeat(LONG);
    for number in 0..40 {
        let id = submit(&server, &format!("s{number}"), &message, json!({})).await;
        crate::access::ended(&server, &id).await;
    }
    let before = server.kibibytes("VmHWM");
    let mut path = Some("/tasks?limit=500&full=1".to_owned());
    let mut listed = 0;
    while let Some(page) = path {
        let answer = server.get(&page).await;
        path = next(&answer);
        listed += answer.ok().as_array().unwrap().len();
    }
    assert_eq!(listed, 40);
    // The server reads one message at a time, and the readers cache few pages of the file.
    let grown = server.kibibytes("VmHWM") - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
    server.finish().await;
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let server = Setup::new().without_image().start().await;
    for session in ["a", "b", "c"] {
        submit(&server, session, "m", json!({})).await;
    }
    let answer = server.get("/sessions?limit=2").await;
    let following = next(&answer).unwrap();
    let ids = |page: Value| -> Vec<String> {
        page.as_array().unwrap().iter().map(|session| session["sessionId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(answer.ok()), ["a", "b"]);
    let rest = server.get(&following).await;
    assert!(rest.headers.get("link").is_none());
    assert_eq!(ids(rest.ok()), ["c"]);
    for path in ["/sessions?limit=0", "/sessions?limit=10001", "/sessions?cursor=x"] {
        server.get(path).await.problem(400, "invalid_request");
    }
    server.finish().await;
}

#[tokio::test]
async fn many_lists_do_not_stop_a_task_or_a_record() {
    let server = Setup::new().without_image().start().await;
    let message = "m".repeat(LONG);
    for number in 0..40 {
        submit(&server, &format!("s{number}"), &message, json!({})).await;
    }
    let task = submit(&server, "short", "m", json!({})).await;
    let lists = async {
        let answers = futures::future::join_all((0..400).map(|_| server.get("/tasks?limit=500"))).await;
        (answers, Instant::now())
    };
    let others = async {
        for path in ["/health", &format!("/task/{task}")] {
            server.get(path).await.ok();
        }
        submit(&server, "other", "m", json!({})).await;
        Instant::now()
    };
    let ((answers, lists_ended), others_ended) = futures::join!(lists, others);
    assert!(others_ended < lists_ended);
    let (mut read, mut refused) = (0, 0);
    for answer in answers {
        if answer.status == 200 {
            read += 1;
        } else {
            assert_eq!(answer.header("retry-after"), "2");
            answer.problem(503, "lists_busy");
            refused += 1;
        }
    }
    assert!(read > 0 && refused > 0, "{read} lists, {refused} refused");
    server.finish().await;
}

#[tokio::test]
async fn a_search_costs_little_whatever_is_searched() {
    let server = Setup::new().without_image().start().await;
    let message = "a".repeat(3_000_000);
    for number in 0..3 {
        submit(&server, &format!("s{number}"), &message, json!({})).await;
    }
    submit(&server, "s", "another one", json!({})).await;
    let problem = server.get(&format!("/tasks?q={}", "a".repeat(201))).await.problem(400, "invalid_request");
    assert!(problem["error"].as_str().unwrap().starts_with("q: "), "{problem}");
    let longest = format!("/tasks?q={}b", "a".repeat(199));
    let searches = futures::future::join_all((0..8).map(|_| server.get(&longest)));
    for answer in within("the searches end", searches).await {
        assert_eq!(answer.ok(), json!([]));
    }
    let found = server.get("/tasks?q=OTHER").await.ok();
    assert_eq!((&found[0]["prompt"], found.as_array().unwrap().len()), (&json!("another one"), 1));
    server.finish().await;
}

#[tokio::test]
async fn a_search_that_has_not_looked_at_everything_says_so() {
    let mut server = Setup::new().without_image().start().await;
    let task = submit(&server, "a", "needle", json!({})).await;
    crate::access::ended(&server, &task).await;
    assert!(server.get("/tasks?q=needle").await.headers.get("x-partial").is_none());
    server.stop().await;
    // The data has more tasks than a search compares, and each task fills a batch of the index.
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    let columns = "session, session_id, status, created, started, finished, attempt, prompt_uuid, request, failure, answer, repository";
    let copies = format!(
        "WITH RECURSIVE numbers (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < 3000)
         INSERT INTO tasks (id, message, {columns})
             SELECT numbers.id, printf('%.*c', 16384, 'x'), {columns} FROM tasks, numbers WHERE tasks.message = 'needle';
         INSERT OR IGNORE INTO unindexed_tasks SELECT number FROM tasks"
    );
    database.execute_batch(&copies).unwrap();
    drop(database);
    server.start_again().await;
    let answer = server.get("/tasks?q=needle").await;
    assert_eq!(answer.header("x-partial"), "true");
    assert_eq!(answer.ok(), json!([]));
    server.finish().await;
}

#[tokio::test]
async fn old_tasks_are_removed_and_their_usage_stays() {
    let mut server = Setup::new().without_image().env("TASK_RETENTION", "12h").start().await;
    let (old, recent) = (submit(&server, "a", "m", json!({})).await, submit(&server, "a", "m", json!({})).await);
    for id in [&old, &recent] {
        crate::access::ended(&server, id).await;
    }
    server.stop().await;
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    let number = u64::from_str_radix(&old, 16).unwrap().cast_signed();
    database.execute("UPDATE tasks SET finished = finished - 13 * 3600 * 1000000000 WHERE id = ?1", [number]).unwrap();
    let used = "INSERT INTO usage SELECT date('now'), '', 'a', 'm', 1, 1, 1, 0, 0, 500000000, 0, 0";
    database.execute(used, []).unwrap();
    drop(database);
    server.start_again().await;
    // The first maintenance round runs at once.
    let removed = async {
        while server.get(&format!("/task/{old}")).await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    within("the task is removed", removed).await;
    let list = server.get("/tasks").await.ok();
    assert_eq!((&list[0]["id"], list.as_array().unwrap().len()), (&json!(recent), 1));
    assert_eq!(server.get("/usage").await.ok()["totals"]["cost"], 0.5);
    server.finish().await;
}
