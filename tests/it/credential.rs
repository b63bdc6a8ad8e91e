//! A credential that belongs to one session.

use mock_api::scripted_model::{Credential, DEFAULT_KEY};
use reqwest::Method;
use serde_json::{Value, json};

use crate::engine::EngineApi;
use crate::secrets::{holds, last_credential, only_agents_files};
use crate::server::{Answer, TestServer};

const KEY: &str = "sk-ant-put-for-the-session";
const TOKEN: &str = "sk-ant-oat-put-for-the-session";

async fn put(server: &TestServer, session: &str, body: &Value) -> Answer {
    server.send(server.request(Method::PUT, &format!("/session/{session}/credential")).json(body)).await
}

#[tokio::test]
async fn a_session_uses_the_credential_that_was_put_for_it() {
    let mut server = TestServer::start().await;
    server.model.expect_key(KEY);
    server.model.expect_token(TOKEN);
    let body = json!({ "apiKey": KEY });
    put(&server, "own", &body).await.problem(404, "session_not_found");
    server.say("own", "say:hello").await;
    assert_eq!(last_credential(&server), Credential::ApiKey(0));
    assert_eq!(server.get("/session/own").await.ok()["credential"], "operator");

    // The running process uses the credential from its next request on.
    let container = server.container().await.id;
    put(&server, "own", &body).await.expect(204);
    server.say("own", "say:hello").await;
    assert_eq!(last_credential(&server), Credential::ApiKey(1));
    assert_eq!(server.container().await.id, container);
    let shown = server.get("/session/own").await.ok();
    assert_eq!(shown["credential"], "session");
    assert!(!shown.to_string().contains(KEY), "{shown}");
    server.say("other", "say:hello").await;
    assert_eq!(last_credential(&server), Credential::ApiKey(0), "another session has the operator's");

    // Neither the agent nor the engine's operator can see it, and it is masked in output.
    let keys =
        server.say("own", "bash:cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -ac 'sk-ant-put[-]'").await;
    assert!(keys.starts_with("done: 0") || keys.contains("\n0"), "{keys}");
    let files = server.say("own", "bash:grep -rlsa 'sk-ant-put[-]' / --exclude-dir=proc --exclude-dir=sys; true").await;
    assert_eq!(only_agents_files(&files), "", "{files}");
    let engine = EngineApi::new();
    for container in server.containers().await {
        assert!(!engine.inspect(container.id.as_str()).await.to_string().contains(KEY));
        assert!(!engine.environment_of_first_process(container.id.as_str()).await.contains(KEY));
    }
    assert_eq!(server.say("own", "bash:printf '%s-%s' sk-ant-put for-the-session").await, "done: [redacted]");
    assert!(!holds(&server.directory().join("data"), KEY.as_bytes()), "the key is in DATA_DIR");

    // The API refuses it: the session fails, and the operator's credential is not used instead.
    let requests = server.model.requests().len();
    server.task("own", "status:401").await.problem(503, "auth_expired");
    let tried = &server.model.requests()[requests..];
    assert!(!tried.is_empty());
    assert!(tried.iter().all(|request| request.credential == Credential::ApiKey(1)), "{tried:?}");

    server.stop().await;
    server.start_again().await;
    assert_eq!(server.get("/session/own").await.ok()["credential"], "session");
    server.say("own", "say:after the restart").await;
    assert_eq!(last_credential(&server), Credential::ApiKey(1));

    // A credential of the other kind replaces it. Without one, the operator's credential is used.
    put(&server, "own", &json!({ "oauthToken": TOKEN })).await.expect(204);
    server.say("own", "say:hello").await;
    assert_eq!(last_credential(&server), Credential::OauthToken(0));
    for _ in 0..2 {
        server.delete("/session/own/credential").await.expect(204);
    }
    server.say("own", "say:hello").await;
    assert_eq!(last_credential(&server), Credential::ApiKey(0));
    assert_eq!(
        server.say("own", "bash:printf '%s-%s' sk-ant-put for-the-session").await,
        format!("done: {KEY}"),
        "a credential that was removed is still masked"
    );
    for secret in [KEY, TOKEN, DEFAULT_KEY] {
        assert!(!server.log().contains(secret), "{secret} is in the log");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_body_that_is_no_credential_is_refused_by_its_field() {
    let server = crate::server::Setup::new().without_image().start().await;
    // The task fails because the image is missing, but the session exists.
    server.task("s", "say:hello").await;
    let bad = [
        (json!({}), "apiKey"),
        (json!({ "apiKey": KEY, "oauthToken": TOKEN }), "apiKey"),
        (json!({ "apiKey": "" }), "apiKey"),
        (json!({ "oauthToken": "two\nlines" }), "oauthToken"),
        (json!({ "apiKey": 7 }), "apiKey"),
        (json!({ "apikey": KEY }), "apikey"),
        (json!([KEY]), ""),
    ];
    for (body, field) in bad {
        let problem = put(&server, "s", &body).await.problem(400, "invalid_request");
        let error = problem["error"].as_str().unwrap();
        assert!(error.contains(field) && !problem.to_string().contains(KEY), "{body}: {error}");
    }
    assert_eq!(server.get("/session/s").await.ok()["credential"], "operator");
    server.delete("/session/nobody/credential").await.problem(404, "session_not_found");
    server.finish().await;
}
