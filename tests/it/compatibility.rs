//! The Acme agent, called like the earlier services by their clients.

use mock_api::acme::{AcmeApi, DEFAULT_TOKEN};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::redact::redacted;
use crate::server::Setup;

const ALICE: &str = "How many API calls has Alice (alice@acme.test) left this month?";

pub(crate) async fn acme_api() -> (AcmeApi, Value) {
    let acme = AcmeApi::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), DEFAULT_TOKEN).unwrap();
    let port = acme.serving().address().port();
    let env = json!({
        "ACME_API_URL": format!("http://host.docker.internal:{port}"),
        "ACME_API_TOKEN": DEFAULT_TOKEN,
    });
    (acme, env)
}

#[tokio::test]
async fn the_acme_agent_answers_as_clients_expect_it() {
    let server = Setup::new().acme_agent().start().await;
    let (acme, env) = acme_api().await;

    let more = json!({ "context": "Channel: web-chat", "env": env });
    let first = server.task_with("user-123", ALICE, &more).await.ok();
    insta::assert_json_snapshot!("first_answer", redacted(&first));
    assert!(first["cost"].as_f64().unwrap() > 0.0);
    assert!(first["duration"].as_u64().unwrap() > 0);
    // The calls reach the real Acme API from a container without a network.
    let calls = acme.calls();
    assert!(calls.iter().any(|call| call.contains("/users/u_alice/usage") && call.ends_with("200")), "{calls:?}");
    let asked = calls.len();

    let follow_up = server.task("user-123", "Which plan is she on? Answer from memory.").await.ok();
    insta::assert_json_snapshot!("answer_from_memory", redacted(&follow_up));
    assert_eq!(acme.calls().len(), asked, "nothing was looked up again");

    // The environment of the first task also applies to later ones.
    let upgrade = server.task("user-123", "Upgrade bob@acme.test to Pro").await.ok();
    assert_eq!(upgrade["output"]["action"], "upgrade", "{upgrade:#}");

    insta::assert_json_snapshot!("session_by_name", redacted(&server.get("/session/user-123").await.ok()));
    let mut list = server.get("/sessions").await.ok();
    insta::assert_json_snapshot!("session_of_the_list", redacted(&list[0].take()));
    let task = format!("/task/{}", first["taskId"].as_str().unwrap());
    insta::assert_json_snapshot!("task_by_id", redacted(&server.get(&task).await.ok()));
    server.finish().await;
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_clients_expect_it() {
    let server = Setup::new().without_image().start().await;
    assert_eq!(
        server.post_nothing("/task/nobody/abort").await.ok(),
        json!({ "sessionId": "nobody", "aborted": false })
    );
    assert_eq!(
        server.post_nothing("/session/nobody/reset").await.ok(),
        json!({ "sessionId": "nobody", "reset": false })
    );
    assert_eq!(server.delete("/session/nobody").await.ok(), json!({ "deleted": "nobody" }));
    server.get("/session/nobody").await.problem(404, "session_not_found");
    server.get("/task/0000000000000000").await.problem(404, "task_not_found");
    server.get("/task/not-an-id").await.problem(404, "task_not_found");
    assert_eq!(server.get("/sessions").await.ok(), json!([]));
    assert_eq!(server.get("/tasks").await.ok(), json!([]));

    let health = server.get("/health").await.ok();
    let expected = json!({ "status": "ok", "ok": true, "sessions": 0, "activeTasks": 0, "tasks": 0, "running": 0 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&health[name], value, "{name} of {health}");
    }
    server.finish().await;
}
