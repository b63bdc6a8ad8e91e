//! Asks that end without an answer, and asks over restarts.

use serde_json::json;

use super::{answer, asked, ended, open, setup, start};
use crate::server::Setup;

#[tokio::test]
async fn an_ask_that_nobody_answers_ends_as_its_policy_says() {
    let server = start("tools = \"ask\"\ntimeout_ms = 700").await;
    for (on_timeout, status, response) in [(None, "completed", "nobody answered in time"), (Some("fail"), "failed", "")]
    {
        let mut asks = json!({ "timeoutMs": 300 });
        if let Some(on_timeout) = on_timeout {
            asks["onTimeout"] = json!(on_timeout);
        }
        let session = on_timeout.unwrap_or("deny");
        let waiting =
            server.task_with(session, "bash:touch late; echo ran", &json!({ "asks": asks })).await.expect(202);
        let task = ended(&server, session, waiting["taskId"].as_str().unwrap()).await;
        assert_eq!(task["status"], status, "{task:#}");
        assert!(task["response"].as_str().unwrap_or_default().contains(response), "{task:#}");
        if on_timeout == Some("fail") {
            assert_eq!(task["errorType"], "ask_expired");
        }
        let ask = server.get(&format!("/asks?sessionId={session}")).await.ok()[0].clone();
        assert_eq!((&ask["state"], &ask["by"]), (&json!("expired"), &json!("timeout")), "{ask:#}");
    }
    // The session goes on.
    let waiting = server.task("fail", "bash:true").await.expect(202);
    answer(&server, &waiting["asks"][0], &json!({ "decision": "allow" })).await.ok();
    ended(&server, "fail", waiting["taskId"].as_str().unwrap()).await;
    server.finish().await;

    let lenient = start("tools = \"ask\"\ntimeout_ms = 300\non_timeout = \"allow\"").await;
    let waiting = lenient.task("s", "bash:echo ran").await.expect(202);
    assert_eq!(ended(&lenient, "s", waiting["taskId"].as_str().unwrap()).await["response"], "done: ran");
    lenient.finish().await;
}

#[tokio::test]
async fn the_time_of_a_task_does_not_run_while_it_waits() {
    let server = setup("tools = \"ask\"").env("STALL_TIMEOUT_MS", "1000").start().await;
    let waiting =
        server.task_with("s", "bash:echo ran", &json!({ "timeoutMs": 4000, "asks": { "timeoutMs": 6000 } })).await;
    let waiting = waiting.expect(202);
    // The ask lasts longer than the task may.
    let task = ended(&server, "s", waiting["taskId"].as_str().unwrap()).await;
    assert!(task["response"].as_str().unwrap().contains("nobody answered in time"), "{task:#}");
    server.finish().await;
}

#[tokio::test]
async fn an_open_ask_outlives_the_server() {
    let mut server = start("tools = \"ask\"").await;
    let (task, ask) = asked(&server, "s", "bash:echo survived").await;
    let container = server.container().await.id;
    server.kill().await;
    server.start_again().await;
    assert_eq!(open(&server, "s").await, ask);
    let shown = server.get(&format!("/task/{task}")).await.ok();
    assert_eq!((&shown["waiting"], &shown["asks"]), (&json!(true), &json!([ask])));
    answer(&server, &ask, &json!({ "decision": "allow" })).await.ok();
    assert_eq!(ended(&server, "s", &task).await["response"], "done: survived");
    assert_eq!(server.container().await.id, container, "the same agent went on");
    server.finish().await;
}

#[tokio::test]
async fn an_ask_is_withdrawn_with_its_task() {
    let server = start("tools = \"ask\"").await;
    for (session, call, status) in [
        ("killed", "/task/TASK/abort", "aborted"),
        ("interrupted", "/task/TASK/abort?mode=interrupt", "aborted"),
        ("reset", "/session/reset/reset", "aborted"),
    ] {
        let (task, ask) = asked(&server, session, "bash:touch never").await;
        server.post_nothing(&call.replace("TASK", &task)).await.ok();
        assert_eq!(ended(&server, session, &task).await["status"], status, "{session}");
        let late = answer(&server, &ask, &json!({ "decision": "allow" })).await.problem(409, "ask_ended");
        assert_eq!((&late["ask"]["state"], &late["ask"]["decision"]), (&json!("withdrawn"), &json!(null)), "{session}");
    }
    // The agent that was interrupted works on.
    let waiting = server.task("interrupted", "bash:ls never 2>&1 | tail -c 30").await.expect(202);
    answer(&server, &waiting["asks"][0], &json!({ "decision": "allow" })).await.ok();
    let task = ended(&server, "interrupted", waiting["taskId"].as_str().unwrap()).await;
    assert!(task["response"].as_str().unwrap().contains("No such file"), "{task:#}");

    let (task, ask) = asked(&server, "lost", "bash:touch never").await;
    server.delete("/session/lost").await.ok();
    assert_eq!(server.get(&format!("/task/{task}")).await.ok()["status"], "aborted");
    server.get(&format!("/ask/{}", ask["id"].as_str().unwrap())).await.problem(404, "ask_not_found");
    server.finish().await;
}

#[tokio::test]
async fn an_ask_is_withdrawn_when_its_sandbox_dies() {
    let server = start("tools = \"ask\"").await;
    let (task, ask) = asked(&server, "s", "bash:touch never").await;
    server.kill_container(&server.container().await.id).await;
    let task = ended(&server, "s", &task).await;
    assert_eq!(task["status"], "failed", "{task:#}");
    let ask = server.get(&format!("/ask/{}", ask["id"].as_str().unwrap())).await.ok();
    assert_eq!(ask["state"], "withdrawn");
    server.finish().await;
}

#[tokio::test]
async fn two_asks_of_one_message_are_answered_in_any_order() {
    const SCRIPT: &str = r#"
[[script]]
name = "two"
when = { message = ["both please"] }

[[script.step]]
tools = [{ name = "Bash", input = { command = "echo one" } }, { name = "Bash", input = { command = "echo two" } }]

[[script.step]]
text = "both done"
"#;
    let server =
        Setup::new().scripts(SCRIPT).template_file("agent.toml", "[asks]\ntools = \"ask\"\n", 0o644).start().await;
    let mut events = server.subscribe("s").await;
    let task = server.enqueue("s", "both please").await;
    let first = events.until("ask").await["ask"].clone();
    // The CLI may ask for the second while the first is open, or after it.
    let asks = server.get("/asks?state=open").await.ok();
    for ask in asks.as_array().unwrap() {
        answer(&server, ask, &json!({ "decision": "allow" })).await.ok();
    }
    loop {
        let open = server.get("/asks?state=open").await.ok();
        for ask in open.as_array().unwrap() {
            answer(&server, ask, &json!({ "decision": "allow" })).await.ok();
        }
        let record = server.get(&format!("/task/{task}")).await.ok();
        if record["status"] != "running" {
            assert_eq!(record["response"], "both done", "{record:#}");
            break;
        }
        tokio::task::yield_now().await;
    }
    let all = server.get("/asks").await.ok();
    assert_eq!(all.as_array().unwrap().len(), 2, "one ask for each call: {all:#}");
    assert!(all.as_array().unwrap().iter().any(|ask| ask["id"] == first["id"]));
    server.finish().await;
}
