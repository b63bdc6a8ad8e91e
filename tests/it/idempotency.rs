//! Requests that are sent twice, answered at once, or listed. No container needed.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Setup, TestServer};

async fn post(server: &TestServer, key: &str, message: &str) -> Answer {
    let body = json!({ "sessionId": "s", "message": message });
    let request = server.request(Method::POST, "/task").header("idempotency-key", key);
    server.send(request.header("prefer", "respond-async").json(&body)).await
}

#[tokio::test]
async fn the_same_request_is_the_same_task() {
    let server = Setup::new().without_image().start().await;
    let accepted = post(&server, "key-1", "say:one").await;
    let location = accepted.header("location").to_owned();
    let accepted = accepted.expect(202);
    let task = accepted["taskId"].as_str().unwrap().to_owned();
    assert_eq!(accepted, json!({ "taskId": task, "id": task, "sessionId": "s", "status": "queued" }));
    assert_eq!(location, format!("/task/{task}"));
    assert_eq!(server.get(&location).await.ok()["prompt"], "say:one");

    assert_eq!(post(&server, "key-1", "say:one").await.expect(202)["taskId"], json!(task));
    let conflict = post(&server, "key-1", "say:other").await.problem(422, "idempotency_conflict");
    assert_eq!(conflict["taskId"], json!(task));
    assert_ne!(post(&server, "key-2", "say:one").await.expect(202)["taskId"], json!(task));
    // The requests run at the same time, and only one can be the first.
    let at_once = join_all((0..8).map(|_| post(&server, "key-3", "say:three"))).await;
    let mut ids: Vec<Value> = at_once.into_iter().map(|answer| answer.expect(202)["taskId"].clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(server.get("/tasks").await.ok().as_array().unwrap().len(), 3);

    let empty = server.request(Method::POST, "/task").header("idempotency-key", "").json(&json!({
        "sessionId": "s", "message": "say:hello"
    }));
    server.send(empty).await.problem(400, "invalid_request");
    assert!(!server.log().contains("could not commit"), "a repeated request is no fault: {}", server.log());
    server.finish().await;
}

#[tokio::test]
async fn the_same_retry_is_the_same_new_task() {
    let server = Setup::new().without_image().start().await;
    let ended = async |message: &str| {
        let problem = server.task("s", message).await.problem(503, "engine_unavailable");
        problem["taskId"].as_str().unwrap().to_owned()
    };
    let (first, second) = (ended("say:one").await, ended("say:two").await);
    let retry = async |task: &str, key: &str| {
        let request = server.request(Method::POST, &format!("/task/{task}/retry"));
        server.send(request.header("idempotency-key", key)).await
    };
    let again = retry(&first, "key-1").await.expect(202)["taskId"].clone();
    assert_ne!(again, json!(first));
    let at_once = join_all((0..4).map(|_| retry(&first, "key-1"))).await;
    for answer in at_once {
        assert_eq!(answer.header("location"), format!("/task/{}", again.as_str().unwrap()));
        assert_eq!(answer.expect(202), json!({ "taskId": again, "id": again, "sessionId": "s", "status": "queued" }));
    }
    // The key belongs to this retry: it is refused for another task's retry and for a new task.
    assert_eq!(retry(&second, "key-1").await.problem(422, "idempotency_conflict")["taskId"], again);
    post(&server, "key-1", "say:one").await.problem(422, "idempotency_conflict");
    assert_ne!(retry(&first, "key-2").await.expect(202)["taskId"], again);
    assert_eq!(server.get("/tasks").await.ok().as_array().unwrap().len(), 4);
    assert!(!server.log().contains("could not commit"), "{}", server.log());
    server.finish().await;
}

#[tokio::test]
async fn tasks_are_listed_newest_first_a_page_at_a_time() {
    let server = Setup::new().without_image().start().await;
    let mut posted = Vec::new();
    for number in 0..5 {
        posted.push(server.enqueue(if number == 2 { "ä&b" } else { "s" }, &format!("say:{number}")).await);
    }
    posted.reverse();
    let (mut listed, mut path) = (Vec::new(), "/tasks?limit=2".to_owned());
    let mut pages = 0;
    loop {
        let page = server.get(&path).await;
        let next = page.headers.get("link").map(|_| next_page(page.header("link")));
        listed.extend(page.ok().as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!((listed, pages), (posted.clone(), 3));

    let of_session = server.get("/tasks?sessionId=%C3%A4%26b&limit=1").await.ok();
    assert_eq!((&of_session[0]["id"], of_session.as_array().unwrap().len()), (&json!(posted[2]), 1));
    for path in ["/tasks?limit=0", "/tasks?limit=many", "/tasks?cursor=x", "/tasks?status=done"] {
        let problem = server.get(path).await.problem(400, "invalid_request");
        let field = path.split(['?', '=']).nth(1).unwrap();
        assert!(problem["error"].as_str().unwrap().starts_with(field), "{problem}");
    }
    server.finish().await;
}

fn next_page(link: &str) -> String {
    let (target, relation) = link.split_once(';').unwrap();
    assert_eq!(relation.trim(), "rel=\"next\"");
    target.trim_start_matches('<').trim_end_matches('>').to_owned()
}
