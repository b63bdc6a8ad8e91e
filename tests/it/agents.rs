//! Several agents in one server: selection, limits, errors of broken agents, and changes without a restart.

use serde_json::{Value, json};

use crate::compatibility::acme_api;
use crate::server::{Process, Setup, TestServer, printed};

/// A stdio MCP server with one tool, which returns a variable of its environment.
const NOTES: &str = r#"#!/usr/bin/env bash
answer() { jq -cn --argjson id "$id" --argjson result "$1" '{jsonrpc: "2.0", id: $id, result: $result}'; }
while IFS= read -r line; do
    id=$(jq -c '.id // empty' <<<"$line")
    case $(jq -r '.method // empty' <<<"$line") in
    initialize)
        version=$(jq -c .params.protocolVersion <<<"$line")
        answer "{\"protocolVersion\": $version, \"capabilities\": {\"tools\": {}}, \"serverInfo\": {\"name\": \"notes\", \"version\": \"1\"}}"
        ;;
    tools/list) answer '{"tools": [{"name": "read", "description": "Reads", "inputSchema": {"type": "object"}}]}' ;;
    tools/call) answer "$(jq -cn --arg text "the notes of $NOTES_OF" '{content: [{type: "text", text: $text}]}')" ;;
    *) [[ -z $id ]] || answer '{}' ;;
    esac
done
"#;

const REVIEW: &str = r#"description = "Reads and judges"
model = "claude-haiku-4-5"
max_turns = 1
timeout_ms = 90000
max_cost_usd = 0.75
"#;

fn write(server: &TestServer, name: &str, text: &str) {
    let path = server.directory().join("agents").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    if text.starts_with("#!") {
        std::fs::set_permissions(&path, executable).unwrap();
    }
}

/// Starts a server with two agents and a broken one.
async fn start(setup: Setup) -> TestServer {
    let files = [
        ("chat/AGENTS.md", "You chat.\n"),
        ("chat/agent.toml", "default = true\n"),
        ("review/AGENTS.md", "You review.\n"),
        ("review/agent.toml", REVIEW),
        ("review/checklist.txt", "be kind\n"),
        ("broken/AGENTS.md", "You are broken.\n"),
        ("broken/agent.toml", "max_turns = 3\nmodle = \"x\"\n"),
    ];
    files.into_iter().fold(setup, |setup, (name, text)| setup.agent_file(name, text)).start().await
}

/// Returns the body of the last model request.
fn told(server: &TestServer) -> String {
    String::from_utf8_lossy(&server.model.requests().last().unwrap().body).into_owned()
}

fn agent(name: &str) -> Value {
    json!({ "agent": name })
}

#[tokio::test]
async fn a_session_has_the_agent_that_it_began_with() {
    let server = start(Setup::new()).await;
    // Each agent has its own files and instructions. `agent.toml` is not copied into the workspace.
    let seen = server.task_with("r", "bash:ls", &json!({ "agent": "review", "maxTurns": 5 })).await.ok();
    assert_eq!(seen["response"], "done: AGENTS.md\nchecklist.txt");
    let asked = server.model.requests();
    assert_eq!(asked.last().unwrap().model, "claude-haiku-4-5");
    assert!(told(&server).contains("You review."));
    assert_eq!(server.say("c", "bash:ls").await, "done: AGENTS.md");
    assert!(told(&server).contains("You chat."));

    // The session keeps its agent and shows it. A request for another agent is refused with the agent's name.
    let follow_up = server.task("r", "bash:true").await.problem(502, "max_turns");
    assert!(follow_up["error"].as_str().unwrap().contains("1 turns"), "{follow_up:#}");
    let record = server.get(&format!("/task/{}", follow_up["taskId"].as_str().unwrap())).await.ok();
    let bounds = ["model", "maxTurns", "timeoutMs", "maxCostUsd"].map(|name| record[name].clone());
    assert_eq!(json!(bounds), json!(["claude-haiku-4-5", 1, 90_000, 0.75]));
    server.task_with("r", "say:still here", &agent("review")).await.ok();
    let other = server.task_with("r", "say:x", &agent("chat")).await.problem(409, "agent_conflict");
    let said = other["error"].as_str().unwrap();
    assert!(said.starts_with("agent: ") && said.contains("`review`"), "{said}");
    let unknown = server.task_with("n", "say:x", &agent("nobody")).await.problem(400, "invalid_request");
    let said = unknown["error"].as_str().unwrap();
    assert!(said.starts_with("agent: ") && said.contains("`broken`, `chat`, `review`"), "{said}");
    // An agent's name is not a path.
    for name in ["../agents/chat", "./chat", "chat/", "chat/../review", "..", ".", "", "CHAT"] {
        let unknown = server.task_with("n", "say:x", &agent(name)).await.problem(400, "invalid_request");
        assert!(unknown["error"].as_str().unwrap().starts_with("agent: there is no "), "{name}: {unknown:#}");
    }
    assert_eq!(server.get("/session/r").await.ok()["agent"], "review");
    let sessions = server.get("/sessions").await.ok();
    assert_eq!([&sessions[0]["agent"], &sessions[1]["agent"]], ["review", "chat"]);
    server.post_nothing("/session/r/reset").await.ok();
    assert_eq!(server.get("/session/r").await.ok()["agent"], "review", "also beyond a reset");
    // A new session of the same id may use another agent.
    server.delete("/session/r").await.ok();
    server.task_with("r", "say:x", &agent("chat")).await.ok();

    // The task's own value wins, but limits of a key and of MODEL_PRICES still apply.
    let own = json!({ "agent": "review", "model": "claude-opus-4-6", "maxTurns": 2 });
    server.task_with("own", "bash:true", &own).await.ok();
    assert_eq!(server.model.requests().last().unwrap().model, "claude-opus-4-6");
    let bounds = json!({ "agent": "review", "maxTurns": 1001 });
    server.task_with("own", "say:x", &bounds).await.problem(400, "invalid_request");
    server.finish().await;
}

#[tokio::test]
async fn a_broken_agent_is_named_and_the_others_work() {
    let server = start(Setup::new().without_image()).await;
    let problem = "broken/agent.toml:2:1: modle: there is no such setting; did you mean model?";
    assert!(server.log().contains(problem), "the log at startup does not contain it");
    let agents = server.get("/agents").await.ok();
    let [broken, chat, review] = <&[Value; 3]>::try_from(agents.as_array().unwrap().as_slice()).unwrap();
    assert!(broken["error"].as_str().unwrap().starts_with(problem), "{broken:#}");
    assert_eq!((&chat["name"], &chat["default"], &chat["error"]), (&json!("chat"), &json!(true), &Value::Null));
    let expected = json!({
        "name": "review", "description": "Reads and judges", "default": false, "model": "claude-haiku-4-5",
        "maxTurns": 1, "timeoutMs": 90_000, "maxCostUsd": 0.75, "permissionMode": "bypassPermissions", "env": [],
        "mcpServers": [], "error": null, "warnings": [],
    });
    assert_eq!(*review, expected);
    let listed = server.run(&["agents"]).await;
    assert!(listed.out.starts_with("AGENT ") && listed.out.contains("Reads and judges"), "{listed:#?}");
    assert!(listed.code == 0 && listed.err.contains(&format!("broken cannot be used: {problem}")), "{listed:#?}");
    let listed = server.run(&["agents", "--json"]).await;
    let lines: Vec<Value> = listed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines), agents);
    let ready = server.get("/ready").await.body;
    let check = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "agents").unwrap();
    assert_eq!(check["ok"], true);
    assert!(check["detail"].as_str().unwrap().contains(problem), "{check:#}");

    let refused = server.task_with("b", "say:x", &agent("broken")).await.problem(503, "agent_unusable");
    assert!(refused["error"].as_str().unwrap().contains(problem), "{refused:#}");
    assert_eq!(server.get("/sessions").await.ok(), json!([]), "a session of it began");

    // Agents can be repaired, changed, added and removed while the server runs.
    write(&server, "broken/agent.toml", "max_turns = 4\n");
    write(&server, "new/AGENTS.md", "You are new.\n");
    std::fs::remove_dir_all(server.directory().join("agents/review")).unwrap();
    let agents = server.get("/agents").await.ok();
    let names: Vec<_> = agents.as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert_eq!((names.as_slice(), &agents[0]["maxTurns"]), (&["broken", "chat", "new"][..], &json!(4)));

    // A server does not start without a default agent.
    write(&server, "chat/agent.toml", "default = true\nmax_turns = \"many\"\n");
    assert_eq!(server.get("/ready").await.expect(503)["ready"], false);
    let mut environment = server.environment().clone();
    environment.insert("DATA_DIR".to_owned(), server.directory().join("other").display().to_string());
    let mut process = Process::spawn(&environment, server.directory());
    assert_eq!(process.address().await, None, "it started");
    assert_eq!(process.ended().await.code(), Some(64));
    let said = process.log();
    assert!(said.contains("AGENT_DIR") && said.contains("chat/agent.toml:2:13: "), "{said}");
    server.finish().await;
}

#[tokio::test]
async fn an_agent_gets_what_its_settings_say() {
    let server = start(Setup::new()).await;
    let (acme, env) = acme_api().await;
    let url = env["ACME_API_URL"].as_str().unwrap();
    let host = url.strip_prefix("http://").unwrap();
    // The agent has its own egress rules, a required variable and an MCP server.
    let settings = format!(
        "egress = [\"{host}\", \"host.docker.internal:{}\"]\nenv = [\"NOTES_OF\"]\n\
         [mcp_servers.notes]\ncommand = \"/workspace/tools/notes\"\n",
        server.port()
    );
    write(&server, "review/agent.toml", &settings);
    write(&server, "review/tools/notes", NOTES);

    // A task is refused without the variable. An empty value counts as missing.
    for env in [json!({}), json!({ "NOTES_OF": "" })] {
        let body = json!({ "agent": "review", "env": env });
        let missing = server.task_with("r", "say:x", &body).await.problem(400, "invalid_request");
        let said = missing["error"].as_str().unwrap();
        assert!(said.starts_with("env: NOTES_OF is missing") && said.contains("`review`"), "{said}");
    }
    assert_eq!((server.get("/sessions").await.ok(), server.containers().await.len()), (json!([]), 0));

    let begin = json!({ "agent": "review", "env": { "NOTES_OF": "Alice" } });
    let called = server.task_with("r", "tool:mcp__notes__read {}", &begin).await.ok();
    assert_eq!(called["response"], "done: the notes of Alice", "{called:#}");
    assert_eq!(called["tools"], json!(["mcp__notes__read"]));
    // The session keeps the variable. A new value reaches the MCP server too.
    assert_eq!(server.say("r", "tool:mcp__notes__read {}").await, "done: the notes of Alice");
    let other = json!({ "env": { "NOTES_OF": "Bob" } });
    let called = server.task_with("r", "tool:mcp__notes__read {}", &other).await.ok();
    assert_eq!(called["response"], "done: the notes of Bob", "{called:#}");

    // Another agent may not reach the first agent's hosts, and no agent may reach the server itself.
    let ask = format!("bash:curl -s {url}/health");
    assert_eq!(printed(&server.task("r", &ask).await.ok()), json!({ "status": "ok" }));
    assert!(acme.calls().iter().any(|call| call.contains("/health")), "{:?}", acme.calls());
    assert_eq!(printed(&server.task("c", &ask).await.ok())["code"], "egress_refused");
    let own = format!("bash:curl -s http://host.docker.internal:{}/health", server.port());
    assert_eq!(printed(&server.task("r", &own).await.ok())["code"], "egress_protected");

    // In this permission mode a person would have to approve the call.
    write(&server, "review/agent.toml", "permission_mode = \"default\"\n");
    server.delete("/session/r").await.ok();
    server.task_with("r", "bash:touch made.txt", &agent("review")).await.ok();
    server.get("/session/r/files/made.txt").await.problem(404, "file_not_found");
    // In the other mode the call succeeds, without a restart of the server.
    write(&server, "review/agent.toml", "permission_mode = \"bypassPermissions\"\n");
    server.delete("/session/r").await.ok();
    server.task_with("r", "bash:touch made.txt", &agent("review")).await.ok();
    assert_eq!(server.request(reqwest::Method::GET, "/session/r/files/made.txt").send().await.unwrap().status(), 200);
    server.finish().await;
}

#[tokio::test]
async fn warm_sandboxes_are_the_default_agents() {
    let server = start(Setup::new().env("WARM_SANDBOXES", "1").env("SANDBOX_MEMORY", "512m")).await;
    server.warm(1).await;
    let warm = server.container().await;
    let seen = server.task_with("r", "bash:ls", &json!({ "agent": "review", "maxTurns": 5 })).await.ok();
    assert_eq!(seen["response"], "done: AGENTS.md\nchecklist.txt", "it was given another agent's sandbox");
    server.delete("/session/r").await.ok();
    assert!(server.containers().await.iter().any(|container| container.id == warm.id), "it was taken");
    // Another agent becomes the default.
    write(&server, "chat/agent.toml", "");
    write(&server, "review/agent.toml", "default = true\nmax_turns = 5\n");
    server.another_warm(warm.id.as_str()).await;
    assert_eq!(server.say("d", "bash:ls").await, "done: AGENTS.md\nchecklist.txt");
    assert_eq!(server.get("/session/d").await.ok()["agent"], "review");
    server.finish().await;
}
