//! Tests webhook routes with keys that are bound to some sessions.

use serde_json::json;

use super::{ADMIN, Caller, ended, make_key};
use crate::server::Setup;

#[tokio::test]
async fn a_key_for_a_prefix_sees_its_own_webhooks_and_no_metrics() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).env("WEBHOOK_ATTEMPTS", "1").start().await;
    let server = server.with_key(ADMIN);
    let mine = make_key(&server, &["--scope", "submit", "--sessions", "mine-"]).await;
    let reader = make_key(&server, &["--scope", "read"]).await;
    let (mine, reader) = (Caller::new(&server, 30, Some(&mine)), Caller::new(&server, 31, Some(&reader)));
    // The name resolves to an internal address, so nothing is sent.
    let webhook =
        json!({ "url": "https://localhost/hook", "secret": "whsec_Y2FsbGVycy1vd24tc2VjcmV0LWZvci1ob29rcw==" });
    for session in ["theirs", "mine-1"] {
        let body = json!({ "sessionId": session, "message": "say:hello", "async": true, "webhook": webhook });
        let task = server.post("/task", &body).await.expect(202);
        ended(&server, task["taskId"].as_str().unwrap()).await;
    }
    let all = server.get("/webhooks").await.ok();
    let [own, foreign] = <&[_; 2]>::try_from(all.as_array().unwrap().as_slice()).unwrap();
    assert_eq!((&own["sessionId"], &foreign["sessionId"]), (&json!("mine-1"), &json!("theirs")));

    let seen = mine.call("GET", "/webhooks").await.ok();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["id"]), (1, &own["id"]));
    let theirs = format!("/webhooks?task={}", foreign["taskId"].as_str().unwrap());
    assert_eq!(mine.call("GET", &theirs).await.ok(), json!([]));
    let replay = |delivery: &serde_json::Value| format!("/webhooks/{}/replay", delivery["id"].as_str().unwrap());
    mine.call("POST", &replay(foreign)).await.problem(404, "webhook_not_found");
    mine.call("POST", &replay(own)).await.expect(202);
    reader.call("POST", &replay(own)).await.problem(403, "forbidden");
    assert_eq!(reader.call("GET", "/webhooks").await.ok().as_array().unwrap().len(), 2);

    mine.call("GET", "/metrics").await.problem(403, "forbidden");
    reader.call("GET", "/metrics").await.expect(200);
    server.finish().await;
}
