//! Which tasks have rules, and that no agent gets past them.

use serde_json::json;

use super::{answer, ended, open, start};
use crate::access::{Caller, make_key};
use crate::server::{Setup, TestServer};

#[tokio::test]
async fn without_a_table_nothing_is_asked() {
    let server = TestServer::start().await;
    assert_eq!(server.say("s", "bash:echo ran").await, "done: ran");
    assert_eq!(server.get("/asks").await.ok(), json!([]));
    server.finish().await;
}

#[tokio::test]
async fn a_task_with_rules_never_gets_an_agent_that_does_not_ask() {
    // The first agent is started without a hook: by a task without rules, or in advance.
    let server = Setup::new().env("WARM_SANDBOXES", "1").start().await;
    server.say("s", "bash:echo kept > kept").await;
    let before = server.get("/sandboxes").await.ok();
    let rules = json!({ "asks": { "ask": ["Bash(touch:*)"], "deny": ["Bash(curl:*)"] } });
    let waiting = server.task_with("s", "bash:touch asked; cat kept", &rules).await.expect(202);
    assert_ne!(server.get("/sandboxes").await.ok(), before, "the sandbox was replaced");
    answer(&server, &waiting["asks"][0], &json!({ "decision": "allow" })).await.ok();
    assert_eq!(ended(&server, "s", waiting["taskId"].as_str().unwrap()).await["response"], "done: kept");
    // A queued task too.
    server.say("queue", "say:hello").await;
    let first = server.enqueue("queue", "slow:20").await;
    let waiting = server.task_with("queue", "bash:touch asked", &rules).await.expect(202);
    assert_eq!(server.get(&format!("/task/{first}")).await.ok()["status"], "completed");
    answer(&server, &waiting["asks"][0], &json!({ "decision": "deny" })).await.ok();
    ended(&server, "queue", waiting["taskId"].as_str().unwrap()).await;
    // A new session with a warm sandbox.
    let waiting = server.task_with("fresh", "bash:touch asked", &rules).await.expect(202);
    assert_eq!(open(&server, "fresh").await["askedBy"], "Bash(touch:*)");
    answer(&server, &waiting["asks"][0], &json!({ "decision": "deny" })).await.ok();
    ended(&server, "fresh", waiting["taskId"].as_str().unwrap()).await;
    server.finish().await;
}

#[tokio::test]
async fn the_field_of_a_task_only_narrows() {
    let server = start("tools = \"ask\"").await;
    for (asks, expected) in [
        (json!({ "allow": ["Bash"] }), "asks.allow: a task can only make its agent's table [asks] stricter"),
        (
            json!({ "tools": "allow" }),
            "asks.tools: a task can only make its agent's table [asks] stricter, which has ask",
        ),
        (json!({ "dney": ["Bash"] }), "asks.dney: there is no such field; did you mean deny?"),
        (json!({ "deny": ["Bsh(ls)"] }), "asks.deny: \"Bsh(ls)\": there is no tool Bsh; did you mean Bash?"),
    ] {
        let problem = server.task_with("s", "say:x", &json!({ "asks": asks })).await.problem(400, "invalid_request");
        assert_eq!(problem["error"], expected);
    }
    let denied = server.task_with("s", "bash:ls", &json!({ "asks": { "tools": "deny" } })).await.ok();
    assert!(denied["response"].as_str().unwrap().contains("no rule of this agent allows it"), "{denied:#}");
    server.finish().await;
}

#[tokio::test]
async fn the_permission_mode_asks_too_where_there_is_a_table() {
    let files = "permission_mode = \"default\"\n[asks]\nallow = [\"Bash(touch free)\"]\n";
    let server = Setup::new().template_file("agent.toml", files, 0o644).start().await;
    assert_eq!(server.say("s", "bash:touch free").await.split(' ').next(), Some("done:"));
    let waiting = server.task("s", "bash:touch asked; echo ran").await.expect(202);
    answer(&server, &waiting["asks"][0], &json!({ "decision": "allow" })).await.ok();
    assert_eq!(ended(&server, "s", waiting["taskId"].as_str().unwrap()).await["response"], "done: ran");
    server.finish().await;
}

#[tokio::test]
async fn a_subagent_asks_like_its_agent() {
    let server = start("ask = [\"Bash(touch:*)\"]").await;
    let waiting = server.task("s", "sub:bash:touch asked").await.expect(202);
    answer(&server, &waiting["asks"][0], &json!({ "decision": "allow" })).await.ok();
    assert_eq!(ended(&server, "s", waiting["taskId"].as_str().unwrap()).await["response"], "sub done");
    server.finish().await;
}

#[tokio::test]
async fn only_a_key_that_may_administer_answers_and_only_in_its_sessions() {
    const ADMIN: &str = "an-admin-key-of-more-than-32-characters";
    let setup = super::setup("tools = \"ask\"").env("API_KEYS", ADMIN);
    let server = setup.start().await.with_key(ADMIN);
    let waiting = server.task("theirs", "bash:echo ran").await.expect(202);
    let ask = &waiting["asks"][0];
    let id = ask["id"].as_str().unwrap();
    let allow = json!({ "decision": "allow" });
    let submits = make_key(&server, &["--scope", "submit"]).await;
    let foreign = make_key(&server, &["--scope", "admin", "--sessions", "mine-"]).await;
    for (number, key, status) in [(31, submits, 403), (32, foreign, 404)] {
        let caller = Caller::new(&server, number, Some(&key));
        let request = caller.request("POST", &format!("/ask/{id}/answer")).json(&allow);
        assert_eq!(server.send(request).await.status, status);
    }
    let taken = answer(&server, ask, &allow).await.ok();
    assert_eq!(taken["by"], "key");
    crate::access::ended(&server, waiting["taskId"].as_str().unwrap()).await;
    server.finish().await;
}
