//! Asks, with the real Claude Code: a person decides about calls, questions and plans.

mod endings;
mod policy;

use serde_json::{Value, json};

use crate::server::{Answer, Setup, TestServer};

/// A server whose agent has this table `[asks]`.
async fn start(table: &str) -> TestServer {
    setup(table).start().await
}

fn setup(table: &str) -> Setup {
    Setup::new().template_file("agent.toml", format!("[asks]\n{table}\n"), 0o644)
}

/// The one open ask of a session.
async fn open(server: &TestServer, session: &str) -> Value {
    let asks = server.get(&format!("/asks?sessionId={session}&state=open")).await.ok();
    assert_eq!(asks.as_array().unwrap().len(), 1, "{asks:#}");
    asks[0].clone()
}

/// Submits a task in the background and waits for its first ask. Returns the task and the ask.
async fn asked(server: &TestServer, session: &str, message: &str) -> (String, Value) {
    let mut events = server.subscribe(session).await;
    let task = server.enqueue(session, message).await;
    let event = events.until("ask").await;
    assert_eq!(event["taskId"], json!(task), "{event:#}");
    (task, event["ask"].clone())
}

async fn answer(server: &TestServer, ask: &Value, body: &Value) -> Answer {
    server.post(&format!("/ask/{}/answer", ask["id"].as_str().unwrap()), body).await
}

/// The end of a task, as its record has it.
async fn ended(server: &TestServer, session: &str, task: &str) -> Value {
    let mut events = server.subscribe_since(session, 0).await;
    events.until_end_of(&json!(task)).await;
    server.get(&format!("/task/{task}")).await.ok()
}

fn question(more: &Value) -> Value {
    let mut question = json!({
        "question": "Which colour?",
        "header": "Colour",
        "options": [{ "label": "Blue", "description": "like the sea" }, { "label": "Red", "description": "like wine" }],
        "multiSelect": false,
    });
    for (name, value) in more.as_object().unwrap() {
        question[name] = value.clone();
    }
    question
}

#[tokio::test]
async fn a_call_runs_when_a_person_allows_it() {
    let server = start("ask = [\"Bash(touch:*)\"]").await;
    // A synchronous caller does not wait for the person.
    let waiting = server.task("s", "bash:touch asked; echo done").await;
    let location = waiting.header("location").to_owned();
    let waiting = waiting.expect(202);
    assert_eq!((&waiting["status"], &waiting["waiting"]), (&json!("running"), &json!(true)), "{waiting:#}");
    let ask = &waiting["asks"][0];
    assert_eq!(location, format!("/task/{}", waiting["taskId"].as_str().unwrap()));
    assert_eq!((&ask["kind"], &ask["state"], &ask["tool"]), (&json!("permission"), &json!("open"), &json!("Bash")));
    assert_eq!((&ask["rule"], &ask["askedBy"]), (&json!("Bash(touch asked; echo done)"), &json!("Bash(touch:*)")));
    assert_eq!(ask["input"]["command"], "touch asked; echo done");
    assert_eq!(open(&server, "s").await, *ask);
    assert_eq!(server.get(&format!("/ask/{}", ask["id"].as_str().unwrap())).await.ok(), *ask);
    let listed = server.get("/tasks").await.ok();
    assert_eq!((&listed[0]["waiting"], listed[0].get("asks")), (&json!(true), None));

    let taken = answer(&server, ask, &json!({ "decision": "allow" })).await.ok();
    assert_eq!((&taken["state"], &taken["decision"]), (&json!("answered"), &json!("allow")), "{taken:#}");
    assert_eq!(taken["by"], "client");
    let task = ended(&server, "s", waiting["taskId"].as_str().unwrap()).await;
    assert_eq!((&task["status"], &task["response"]), (&json!("completed"), &json!("done: done")), "{task:#}");
    assert_eq!(task.get("waiting"), None);
    let late = answer(&server, ask, &json!({ "decision": "deny" })).await.problem(409, "ask_ended");
    assert_eq!(late["ask"], taken, "{late:#}");

    let mut events = server.subscribe_since("s", 0).await;
    events.until("task_complete").await;
    let kinds: Vec<_> =
        events.kinds().into_iter().filter(|kind| kind.starts_with("ask") || *kind == "tool_end").collect();
    assert_eq!(kinds, ["ask", "ask_answered", "tool_end"]);
    assert_eq!(events.of_kind("ask_answered")[0]["ask"], taken);
    // A call that no rule is about is not asked.
    assert_eq!(server.say("s", "bash:ls asked").await, "done: asked");
    server.finish().await;
}

#[tokio::test]
async fn a_denied_call_does_not_run_and_a_changed_one_runs_changed() {
    let server = start("tools = \"ask\"\ndeny = [\"Bash(curl:*)\"]").await;
    let (task, ask) = asked(&server, "s", "bash:touch denied").await;
    answer(&server, &ask, &json!({ "decision": "deny", "message": "not on a Sunday" })).await.ok();
    let response = ended(&server, "s", &task).await["response"].clone();
    assert!(response.as_str().unwrap().contains("not on a Sunday"), "{response}");

    let (task, ask) = asked(&server, "s", "bash:touch original").await;
    for (input, expected) in [
        (json!({ "command": "curl example.com" }), "input: the rule Bash(curl:*) denies this"),
        (json!({ "command": 7 }), "input: Bash needs the text `command`"),
        (json!("ls"), "input: it must be an object"),
    ] {
        let problem = answer(&server, &ask, &json!({ "decision": "allow", "input": input })).await;
        assert_eq!(problem.problem(400, "invalid_request")["error"], expected);
    }
    let unknown = answer(&server, &ask, &json!({ "decison": "allow" })).await.problem(400, "invalid_request");
    assert!(unknown["error"].as_str().unwrap().contains("decision"), "{unknown:#}");
    answer(&server, &ask, &json!({ "decision": "allow", "input": { "command": "echo changed" } })).await.ok();
    assert_eq!(ended(&server, "s", &task).await["response"], "done: changed");
    // A rule that denies asks nobody.
    let denied = server.say("s", "bash:curl example.com").await;
    assert!(denied.contains("Bash(curl:*)"), "{denied}");
    server.finish().await;
}

#[tokio::test]
async fn questions_are_answered_by_labels_or_words() {
    let server = start("").await;
    let several = question(&json!({ "question": "Which tools?", "multiSelect": true }));
    let ask_both = format!("tool:AskUserQuestion {}", json!({ "questions": [question(&json!({})), several] }));
    for (answers, expected) in [
        (json!({ "Which colour?": "Red", "Which tools?": ["Blue", "Red"] }), ["Red", "Blue, Red"]),
        (json!({ "Which colour?": "something green", "Which tools?": "none" }), ["something green", "none"]),
    ] {
        let (task, ask) = asked(&server, "s", &ask_both).await;
        assert_eq!((&ask["kind"], &ask["questions"][0]), (&json!("question"), &question(&json!({}))), "{ask:#}");
        let wrong =
            answer(&server, &ask, &json!({ "answers": { "What?": "Red" } })).await.problem(400, "invalid_request");
        assert_eq!(wrong["error"], "answers: the question \"What?\" was not asked");
        answer(&server, &ask, &json!({ "answers": answers })).await.ok();
        let response = ended(&server, "s", &task).await["response"].clone();
        for expected in expected {
            assert!(response.as_str().unwrap().contains(expected), "{response}");
        }
    }
    let (task, ask) = asked(&server, "s", &ask_both).await;
    answer(&server, &ask, &json!({ "decision": "deny", "message": "decide yourself" })).await.ok();
    let response = ended(&server, "s", &task).await["response"].clone();
    assert!(response.as_str().unwrap().contains("decide yourself"), "{response}");
    server.finish().await;
}

#[tokio::test]
async fn a_plan_is_approved_or_denied() {
    let server = start("").await;
    server.say("s", "tool:EnterPlanMode {}").await;
    let (task, ask) = asked(&server, "s", "tool:ExitPlanMode {\"plan\": \"1. go\"}").await;
    assert_eq!((&ask["kind"], &ask["tool"]), (&json!("plan"), &json!("ExitPlanMode")), "{ask:#}");
    answer(&server, &ask, &json!({ "decision": "deny", "message": "shorter" })).await.ok();
    let denied = ended(&server, "s", &task).await;
    assert!(denied["response"].as_str().unwrap().contains("shorter"), "{denied:#}");
    let (task, ask) = asked(&server, "s", "tool:ExitPlanMode {\"plan\": \"1. go\"}").await;
    answer(&server, &ask, &json!({ "decision": "allow" })).await.ok();
    assert_eq!(ended(&server, "s", &task).await["status"], "completed");
    // The mode after the approval asks for nothing that the agent was allowed before.
    assert_eq!(server.say("s", "bash:touch after; echo ran").await, "done: ran");
    server.finish().await;
}

#[tokio::test]
async fn a_decision_is_remembered_for_a_task_or_a_session() {
    let mut server = start("tools = \"ask\"").await;
    let call = |count: usize| format!("multi:{}", vec!["echo same"; count].join(" && then "));
    let (task, ask) = asked(&server, "s", &call(2)).await;
    answer(&server, &ask, &json!({ "decision": "allow", "remember": "task" })).await.ok();
    assert_eq!(ended(&server, "s", &task).await["response"], "done: same");
    // The next task asks again, and then no more, over a restart.
    let (task, ask) = asked(&server, "s", &call(2)).await;
    assert_eq!(ask["rule"], "Bash(echo same)");
    answer(&server, &ask, &json!({ "decision": "allow", "remember": "session" })).await.ok();
    assert_eq!(ended(&server, "s", &task).await["response"], "done: same");
    server.kill().await;
    server.start_again().await;
    assert_eq!(server.say("s", &call(1)).await, "done: same");
    server.post_nothing("/session/s/reset").await.ok();
    let waiting = server.task("s", &call(1)).await.expect(202);
    server.post_nothing(&format!("/task/{}/abort", waiting["taskId"].as_str().unwrap())).await.ok();
    server.finish().await;
}
