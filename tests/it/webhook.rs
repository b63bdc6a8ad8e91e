//! Webhooks, with an HTTP server that receives them.

pub(crate) mod receiver;

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::access::{ADMIN, Caller, make_key};
use crate::bounds::within;
use crate::secrets::holds;
use crate::server::{Setup, TestServer};
use receiver::{Receiver, Reply, SECRET};

const OWN: &str = "whsec_Y2FsbGVycy1vd24tc2VjcmV0LWZvci1ob29rcw==";

fn setup(receiver: &Receiver) -> Setup {
    Setup::new()
        .env("WEBHOOK_ALLOW", receiver.origin())
        .env("WEBHOOK_SECRET", SECRET)
        .env("WEBHOOK_RETRY_MS", "1")
        .env("WEBHOOK_ATTEMPTS", "3")
}

/// Returns the only delivery of a task, once it is final.
async fn settled(server: &TestServer, task: &str) -> Value {
    let settled = async {
        loop {
            let list = server.get(&format!("/webhooks?task={task}")).await.ok();
            match list.as_array().unwrap().as_slice() {
                [delivery] if delivery["status"] != "pending" => return delivery.clone(),
                [] | [_] => {}
                more => panic!("{more:#?}"),
            }
        }
    };
    within("the delivery ends", settled).await
}

/// Returns the statuses of its attempts.
fn statuses(delivery: &Value) -> Vec<u64> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["status"].as_u64().unwrap_or(0)).collect()
}

async fn enqueue(server: &TestServer, session: &str, webhook: &Value) -> String {
    let body = json!({ "sessionId": session, "message": "say:hello", "async": true, "webhook": webhook });
    server.post("/task", &body).await.expect(202)["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_kind_of_end_is_told_and_signed() {
    let mut receiver = Receiver::start().await;
    let server = setup(&receiver).start().await;

    let answer = server.task_with("s", "say:hello", &json!({ "webhook": receiver.url() })).await.ok();
    let completed = receiver.next().await;
    let told = completed.verified(SECRET);
    let task = server.get(&format!("/task/{}", answer["taskId"].as_str().unwrap())).await.ok();
    assert_eq!(told, json!({ "type": "task.completed", "timestamp": task["finished"], "data": task }));
    assert_eq!((completed.path.as_str(), &told["data"]["response"]), ("/hook", &answer["response"]));

    let own = json!({ "webhook": { "url": receiver.url(), "secret": OWN }, "maxCostUsd": 0.000_001 });
    server.task_with("s", "bash:true", &own).await.problem(502, "budget_exceeded");
    let failed = receiver.next().await;
    let told = failed.verified(OWN);
    assert_eq!((&told["type"], &told["data"]["errorType"]), (&json!("task.failed"), &json!("budget_exceeded")));

    let mut events = server.subscribe("s").await;
    let body = json!({ "sessionId": "s", "message": "slow:400", "async": true, "webhook": receiver.url() });
    let running = server.post("/task", &body).await.expect(202);
    events.until("text").await;
    let waiting = enqueue(&server, "s", &json!(receiver.url())).await;
    assert_eq!(server.get(&format!("/webhooks?task={waiting}")).await.ok(), json!([]), "no end, no delivery");
    server.post_nothing("/task/s/abort").await.ok();
    let mut aborted = Vec::new();
    for _ in 0..2 {
        let told = receiver.next().await.verified(SECRET);
        assert_eq!((&told["type"], &told["data"]["status"]), (&json!("task.aborted"), &json!("aborted")));
        aborted.push(told["data"]["taskId"].clone());
    }
    assert!(aborted.contains(&running["taskId"]) && aborted.contains(&json!(waiting)), "{aborted:?}");

    // The list is in pages, newest first.
    for task in [waiting.as_str(), told["data"]["taskId"].as_str().unwrap(), task["id"].as_str().unwrap()] {
        let delivery = settled(&server, task).await;
        assert_eq!((&delivery["status"], statuses(&delivery)), (&json!("delivered"), vec![204]));
        assert_eq!(delivery["url"], format!("{}/hook?…", receiver.origin()));
    }
    let first = server.get("/webhooks?limit=3&status=delivered").await;
    assert!(first.header("link").starts_with("</webhooks?limit=3&cursor="), "{first:?}");
    let next = first.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let (first, second) = (first.ok(), server.get(&next).await.ok());
    assert_eq!((first.as_array().unwrap().len(), second.as_array().unwrap().len()), (3, 1));
    assert_eq!(second[0]["id"], completed.header("webhook-id"));
    assert_eq!(server.get("/webhooks?status=failed").await.ok(), json!([]));
    server.get("/webhooks?status=lost").await.problem(400, "invalid_request");
    server.get("/webhooks?limit=0").await.problem(400, "invalid_request");

    // No answer, log or file contains a secret.
    let told = format!("{first}{second}{}", server.log());
    for secret in [SECRET, OWN, "in-the-query"] {
        assert!(!told.contains(secret), "{secret}");
        assert!(!holds(&server.directory().join("data"), secret.as_bytes()), "{secret} is in DATA_DIR");
    }
    assert!(receiver.is_empty());
    server.finish().await;
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_also_after_a_kill() {
    let mut receiver = Receiver::start().await;
    let mut server = setup(&receiver).without_image().start().await;
    receiver.reply([Reply::Status(500), Reply::Status(503), Reply::Silence]);
    let task = enqueue(&server, "s", &json!(receiver.url())).await;
    let attempts = [receiver.next().await, receiver.next().await, receiver.next().await];
    // The server cannot know whether the third delivery was accepted.
    server.kill().await;
    server.start_again().await;
    let again = receiver.next().await;
    for attempt in attempts.iter().chain([&again]) {
        assert_eq!(attempt.header("webhook-id"), again.header("webhook-id"));
        assert_eq!(attempt.body, again.body);
        attempt.verified(SECRET);
    }
    let delivery = settled(&server, &task).await;
    assert_eq!((&delivery["status"], statuses(&delivery)), (&json!("delivered"), vec![500, 503, 204]));
    assert!(delivery["attempts"][0]["error"].as_str().unwrap().contains("500"), "{delivery:#}");
    assert_eq!(delivery["nextAttempt"], Value::Null);

    let replay = format!("/webhooks/{}/replay", delivery["id"].as_str().unwrap());
    receiver.reply([Reply::Status(410)]);
    let accepted = server.post_nothing(&replay).await.expect(202);
    assert_eq!(accepted, json!({ "id": delivery["id"], "taskId": task, "status": "pending" }));
    assert_eq!(receiver.next().await.header("webhook-id"), again.header("webhook-id"));
    let delivery = settled(&server, &task).await;
    assert_eq!(
        (&delivery["status"], statuses(&delivery)),
        (&json!("failed"), vec![500, 503, 204, 410]),
        "gone is gone"
    );

    // Redirects are not followed, and no attempt follows the last one.
    receiver.reply((0..3).map(|_| Reply::Redirect(format!("{}/elsewhere", receiver.origin()))));
    let redirected = enqueue(&server, "s", &json!(receiver.url())).await;
    let delivery = settled(&server, &redirected).await;
    assert_eq!((&delivery["status"], statuses(&delivery)), (&json!("failed"), vec![307, 307, 307]));
    for _ in 0..3 {
        assert_eq!(receiver.next().await.path, "/hook");
    }
    assert!(receiver.is_empty());
    // A replay restarts the schedule.
    receiver.reply([Reply::Status(500), Reply::Status(500)]);
    server.post_nothing(&format!("/webhooks/{}/replay", delivery["id"].as_str().unwrap())).await.expect(202);
    let delivery = settled(&server, &redirected).await;
    assert_eq!((&delivery["status"], statuses(&delivery)), (&json!("delivered"), vec![307, 307, 307, 500, 500, 204]));
    server
        .post_nothing("/webhooks/msg_00000000000000000000000000000000/replay")
        .await
        .problem(404, "webhook_not_found");
    server.finish().await;
}

#[tokio::test]
async fn the_silent_receivers_of_one_key_do_not_delay_those_of_another() {
    let mut good = Receiver::start().await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        let receiver = Receiver::start().await;
        receiver.reply(std::iter::repeat_n(Reply::Silence, 8));
        silent.push(receiver);
    }
    let allowed: Vec<String> = silent.iter().chain([&good]).map(Receiver::origin).collect();
    let setup = Setup::new().without_image().env("API_KEYS", ADMIN).env("WEBHOOK_SECRET", SECRET);
    let server = setup.env("WEBHOOK_ALLOW", allowed.join(",")).start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "submit"]).await;
    let hostile = Caller::new(&server, 1, Some(&key));
    for receiver in &silent {
        for _ in 0..4 {
            // Without an image a task ends at once.
            let body = json!({ "sessionId": "s", "message": "say:x", "async": true, "webhook": receiver.url() });
            server.send(hostile.request("POST", "/task").json(&body)).await.expect(202);
        }
    }
    enqueue(&server, "other", &json!(good.url())).await;
    good.next().await.verified(SECRET);
    let attempts: usize = silent.iter().map(Receiver::len).sum();
    assert!(attempts <= 8, "one key has {attempts} attempts at once");
    server.finish().await;
}

#[tokio::test]
async fn a_webhook_reaches_nothing_inside() {
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let server = Setup::new().without_image().env("WEBHOOK_ATTEMPTS", "1").start().await;
    let post = async |webhook: Value| {
        let body = json!({ "sessionId": "s", "message": "say:hello", "async": true, "webhook": webhook });
        server.post("/task", &body).await
    };
    for bad in [
        json!(format!("http://127.0.0.1:{port}/hook")),
        json!("http://example.com/hook"),
        json!(format!("https://127.0.0.1:{port}/hook")),
        json!(format!("https://0x7f.1:{port}/hook")),
        json!(format!("https://[::1]:{port}/hook")),
        json!("https://10.0.0.1/hook"),
        json!("https://169.254.169.254/latest"),
        json!("https://[::ffff:192.168.1.1]/hook"),
        json!("https://user:password@example.com/hook"),
        json!("https://8.8.8.8:2375/hook"),
        json!("ftp://example.com/hook"),
        json!("example.com/hook"),
        json!(""),
        json!(7),
        json!({ "secret": OWN }),
    ] {
        let webhook = bad.as_str().map_or(bad.clone(), |url| json!({ "url": url, "secret": OWN }));
        let problem = post(webhook).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with("webhook: "), "{bad}: {problem:#}");
    }
    let unsigned = post(json!("https://example.com/hook")).await.problem(400, "invalid_request");
    assert!(unsigned["error"].as_str().unwrap().contains("WEBHOOK_SECRET"), "{unsigned:#}");
    let short = post(json!({ "url": "https://example.com/hook", "secret": "whsec_c2hvcnQ=" })).await;
    let short = short.problem(400, "invalid_request");
    assert!(!short.to_string().contains("c2hvcnQ="), "{short:#}");

    // Names are checked by the address to which they resolve at the time of the call.
    for name in ["localhost", "host.docker.internal"] {
        let webhook = json!({ "url": format!("https://{name}:{port}/hook"), "secret": OWN });
        let task = enqueue(&server, "s", &webhook).await;
        let delivery = settled(&server, &task).await;
        assert_eq!((&delivery["status"], statuses(&delivery)), (&json!("failed"), vec![0]));
        let error = delivery["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains("WEBHOOK_ALLOW"), "{delivery:#}");
    }
    assert!(inside.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "somebody connected");
    server.finish().await;
}
