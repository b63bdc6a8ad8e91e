//! Damaged agent templates: named at the start, by `/ready`, by `doctor` and by `GET /agents`, and never by a paid task.

use serde_json::{Value, json};

use crate::command::output;
use crate::server::{Process, Setup, TestServer};

/// Starts a server whose default agent is valid, without an agent image.
async fn start() -> TestServer {
    let setup = Setup::new().agent_file("ok/AGENTS.md", "You work.\n").agent_file("ok/agent.toml", "default = true\n");
    setup.without_image().start().await
}

fn write(server: &TestServer, name: &str, content: impl AsRef<[u8]>) {
    let path = server.directory().join("agents").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn listed(server: &TestServer, name: &str) -> Value {
    let agents = server.get("/agents").await.ok();
    agents.as_array().unwrap().iter().find(|agent| agent["name"] == name).unwrap().clone()
}

async fn ready(server: &TestServer) -> String {
    let ready = server.get("/ready").await.body;
    let check = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "agents").unwrap().clone();
    check["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_damaged_template_is_named_before_any_task_pays_for_it() {
    let server = start().await;
    let latin: &[u8] = b"You work\nin M\xfcnchen.\n";
    let utf16: &[u8] = b"\xff\xfeY\0o\0u\0";
    let findings = [
        ("AGENTS.md", latin, "AGENTS.md:2:5: the byte 0xFC is not UTF-8"),
        ("AGENTS.md", utf16, "AGENTS.md:1:1: the file is UTF-16"),
        ("AGENTS.md", b"You\0", "AGENTS.md:1:4: there is a NUL byte"),
        ("AGENTS.md", b" \n\xef\xbb\xbf", "AGENTS.md: the file is empty"),
        ("AGENTS.md", b"\xef\xbb\xbf \n", "AGENTS.md: the file is empty"),
        ("OUTPUT.md", latin, "OUTPUT.md:2:5: "),
        ("agent.toml", b"\xef\xbb\xbfmax_turns = 0", "agent.toml:1:13: max_turns"),
        ("agent.toml", b"description = \"M\xfc\"", "agent.toml:1:17: "),
        ("OUTPUT.schema.json", b"[]", "OUTPUT.schema.json:1:1: a schema is a JSON object"),
        ("OUTPUT.schema.json", b"{\n\"type\": \"array\"}", "OUTPUT.schema.json:2:9: `type` must be \"object\""),
        ("OUTPUT.schema.json", b"{\"type\": \"object\",}", "OUTPUT.schema.json:1:19: it is not JSON"),
        ("OUTPUT.schema.json", b"{\n\"properties\": {\"a\": 1}}", "OUTPUT.schema.json:2:21: it is not a JSON Schema"),
        ("OUTPUT.schema.json", latin, "OUTPUT.schema.json:2:5: "),
        ("OUTPUT.schema.json", b"", "OUTPUT.schema.json:1:1: it is not JSON"),
    ];
    for (number, (file, content, words)) in findings.into_iter().enumerate() {
        let _ = std::fs::remove_dir_all(server.directory().join("agents/bad"));
        write(&server, "bad/AGENTS.md", "You work.\n");
        write(&server, &format!("bad/{file}"), content);
        let agent = listed(&server, "bad").await;
        let error = agent["error"].as_str().unwrap_or_else(|| panic!("{words}: {agent:#}"));
        assert!(error.starts_with(&format!("bad/{words}")), "{words}: {error}");
        assert!(ready(&server).await.contains(error), "{words}");
        let refused = server.task_with("s", "say:x", &json!({ "agent": "bad" })).await.problem(503, "agent_unusable");
        assert!(refused["error"].as_str().unwrap().contains(error), "{refused:#}");
        // It also looks at the engine, which takes seconds.
        if number % 5 == 0 {
            let doctor = output(&["doctor", "--json"], server.environment(), server.directory()).out;
            let checks: Vec<Value> = serde_json::from_str(&doctor).unwrap();
            let check = checks.iter().find(|check| check["name"] == "agent").unwrap();
            assert!(check["status"] == "fail" && check.to_string().contains(file), "{words}: {check:#}");
        }
    }
    assert_eq!(server.get("/sessions").await.ok(), json!([]), "a session of it began");

    // A broken default agent stops the start.
    write(&server, "ok/OUTPUT.schema.json", "\"object\"");
    let mut environment = server.environment().clone();
    environment.insert("DATA_DIR".to_owned(), server.directory().join("other").display().to_string());
    let mut process = Process::spawn(&environment, server.directory());
    assert_eq!(process.address().await, None, "it started");
    assert_eq!(process.ended().await.code(), Some(64));
    assert!(process.log().contains("OUTPUT.schema.json:1:1: "), "{}", process.log());
    server.finish().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_removed_and_a_file_that_cannot_work_is_named() {
    let server = start().await;
    write(&server, "odd/AGENTS.md", "\u{feff}You work.\n");
    write(&server, "odd/agent.toml", "\u{feff}description = \"odd\"\n");
    write(&server, "odd/OUTPUT.schema.json", "\u{feff}{\"type\": \"object\"}");
    let agent = listed(&server, "odd").await;
    assert_eq!((&agent["error"], &agent["description"], &agent["warnings"]), (&Value::Null, &json!("odd"), &json!([])));

    write(&server, "odd/tools/plain.sh", "#!/bin/sh\n");
    write(&server, "odd/tools/windows.sh", "#!/bin/sh\r\necho\r\n");
    write(&server, "odd/tools/marked.sh", "\u{feff}#!/bin/sh\n");
    write(&server, "odd/tools/notes.txt", "not a program");
    let outside = server.directory().join("agents/odd/outside");
    std::os::unix::fs::symlink("../ok/AGENTS.md", outside).unwrap();
    let expected = [
        "odd/outside: the link leads out of the template to ../ok/AGENTS.md",
        "odd/tools/marked.sh:1: a byte order mark before `#!` keeps the script from starting; remove it",
        "odd/tools/plain.sh: the tool is not executable; run `chmod +x` on it",
        "odd/tools/windows.sh:1: the line ends in CRLF, so the script's interpreter is not found; save it with LF",
    ];
    let agent = listed(&server, "odd").await;
    assert_eq!((&agent["error"], &agent["warnings"]), (&Value::Null, &json!(expected)));
    let detail = ready(&server).await;
    assert!(expected.iter().all(|warning| detail.contains(warning)), "{detail}");
    let listed = server.run(&["agents"]).await;
    assert!(expected.iter().all(|warning| listed.err.contains(warning)), "{listed:#?}");
    server.finish().await;
}
