//! `claude-runner tools` as a user runs it, and the generated tools as an agent uses them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::compatibility::acme_api;
use crate::server::{Setup, printed};

/// Recorded with Chromium, see `crates/toolsmith/src/tests.rs`.
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/it/tools/acme.har");

fn tools(arguments: &[&str], out: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    let Output { status, stdout, stderr } =
        command.arg("tools").args(arguments).arg("--out").arg(out).current_dir(std::env::temp_dir()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test]
async fn tools_of_a_recording_work_in_a_sandbox() {
    let server = Setup::new().start().await;
    let out = server.directory().join("agent/tools");
    let (made, said) = tools(&["from-har", RECORDING], &out);
    assert!(made && said.contains("acme-users.sh: 5 commands"), "{said}");
    let instructions = "| `tools/acme-users.sh get-user-usage USER_ID` | `GET /users/USER_ID/usage` |";
    let settings = "env = [\"ACME_TOKEN\", \"ACME_URL\"]";
    assert!(said.contains(instructions) && said.contains(settings), "{said}");
    std::fs::write(server.directory().join("agent/agent.toml"), settings).unwrap();

    let (_acme, acme) = acme_api().await;
    let missing = server.task("s", "say:x").await.problem(400, "invalid_request");
    assert!(missing["error"].as_str().unwrap().contains("ACME_TOKEN"), "{missing:#}");
    let env = json!({ "env": { "ACME_URL": acme["ACME_API_URL"], "ACME_TOKEN": acme["ACME_API_TOKEN"] } });
    let found = server.task_with("s", "bash:tools/acme-users.sh get-users --email bob@acme.test", &env).await.ok();
    assert_eq!(printed(&found)["users"][0]["id"], "u_bob", "{found:#}");
    let used = server.task("s", "bash:tools/acme-users.sh get-user-usage u_alice").await.ok();
    assert_eq!(printed(&used)["used"], 742, "{used:#}");
    let upgraded = server.task("s", "bash:tools/acme-users.sh post-user-upgrade u_bob --plan=Pro").await.ok();
    assert_eq!(printed(&upgraded)["previousPlan"], "Free", "{upgraded:#}");
    let refused = server.say("s", "bash:tools/acme-users.sh get-user u_nobody 2>&1; echo $?").await;
    assert_eq!(refused, "done: acme-users: There is no user with the id `u_nobody`. (HTTP 404)\n1");
    server.finish().await;
}

#[test]
fn files_that_are_there_stay_and_bad_ones_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("tools");
    assert!(tools(&["from-har", RECORDING], &out).0);
    let tool = out.join("acme-users.sh");
    let written = std::fs::read_to_string(&tool).unwrap();
    std::fs::write(&tool, "mine").unwrap();
    let (made, said) = tools(&["from-har", RECORDING], &out);
    assert!(!made && said.contains("acme-users.sh already exists") && said.contains("--force"), "{said}");
    assert_eq!(std::fs::read_to_string(&tool).unwrap(), "mine");
    assert!(tools(&["from-har", "--force", RECORDING], &out).0);
    assert_eq!(std::fs::read_to_string(&tool).unwrap(), written);
    let (made, said) = tools(&["from-har", "--host", "nowhere.test", RECORDING], &out);
    assert!(!made && said.contains("acme.har") && said.contains("console.acme.test"), "{said}");

    let bad = directory.path().join("bad.har");
    std::fs::write(&bad, r#"{"log":{"entries":[{"request":{"method":"GET","url":""}},{"request":7}]}}"#).unwrap();
    let (made, said) = tools(&["from-har", bad.to_str().unwrap()], &out);
    assert!(!made && said.contains("bad.har") && said.contains("log.entries[1].request"), "{said}");
    let (made, said) = tools(&["from-openapi", RECORDING], &out);
    assert!(!made && said.contains("openapi: it must be 3.0 or 3.1") && said.contains("from-har"), "{said}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1, "something was written");
}

#[test]
fn an_odd_entry_is_named_and_files_of_a_document_are_read_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("recording.har");
    let mut har: Value = serde_json::from_slice(&std::fs::read(RECORDING).unwrap()).unwrap();
    har["log"]["entries"].as_array_mut().unwrap().insert(0, Value::Null);
    std::fs::write(&recording, har.to_string()).unwrap();
    let (made, said) = tools(&["from-har", recording.to_str().unwrap()], &directory.path().join("har"));
    assert!(made && said.contains("acme-users.sh: 5 commands") && said.contains("(log.entries[0].request)"), "{said}");

    let docs = directory.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    let paths =
        r#"{"/a":{"$ref":"a.yaml"},"/b":{"$ref":"../secret.yaml"},"/c":{"$ref":"link.yaml"},"/d":{"$ref":"d.yaml"}}"#;
    std::fs::write(
        docs.join("openapi.json"),
        format!(r#"{{"openapi":"3.1.0","info":{{"title":"T"}},"paths":{paths}}}"#),
    )
    .unwrap();
    std::fs::write(docs.join("a.yaml"), "get: {operationId: getA}\n").unwrap();
    std::fs::write(directory.path().join("secret.yaml"), "get: {operationId: stolen}\n").unwrap();
    std::os::unix::fs::symlink("../secret.yaml", docs.join("link.yaml")).unwrap();
    let (made, said) =
        tools(&["from-openapi", docs.join("openapi.json").to_str().unwrap()], &directory.path().join("out"));
    assert!(made && said.contains("get-a") && !said.contains("stolen"), "{said}");
    for words in
        ["left out 3", "link.yaml, to which a $ref leads", "outside the directory", "d.yaml, to which a $ref leads"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}
