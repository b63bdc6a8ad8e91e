//! The model outputs the operator's key wherever it can, and no reader sees it.

use mock_api::scripted_model::DEFAULT_KEY;
use serde_json::json;

use crate::secrets::holds;
use crate::server::Setup;
use crate::stream::text_of;

const MASK: &str = "[redacted]";

/// Steps of a model that knows the key. Only the model may output it here, because callers' own text is stored unchanged.
const LEAKS: &str = r#"
[[script]]
name = "leak"
when.message = ["leak it"]
[[script.step]]
thinking = "Is it KEY? It is KEY."
text = "So far: KEY, and sk-ant-script it is not."
tools = [{ name = "Bash", input = { command = "echo KEY", description = "says KEY" } }]
[[script.step]]
text = "KEYKEY"
output = { action = "reply", response = "the key is KEY", confidence = 1.0 }

[[script]]
name = "slow-leak"
when.message = ["leak slowly"]
[[script.step]]
text = "one KEY two KEY three KEY four KEY five KEY six KEY seven KEY eight KEY end"
chunk = 5
delta_delay_ms = 60
"#;

#[tokio::test]
async fn the_operators_key_is_masked_wherever_an_agent_says_it() {
    let scripts = LEAKS.replace("KEY", DEFAULT_KEY);
    let server = Setup::new().acme_agent().scripts(&scripts).env("RUST_LOG", "debug").start().await;
    let mut live = server.subscribe("s").await;
    let answer = server.task("s", "leak it").await.ok();
    assert_eq!(answer["output"]["response"], json!(format!("the key is {MASK}")), "{answer:#}");
    let task = &answer["taskId"];
    live.until_end_of(task).await;
    let mut stored = server.subscribe_since("s", 0).await;
    stored.until_end_of(task).await;

    let mut said = vec![("the answer", answer.to_string())];
    for events in [&live.events, &stored.events] {
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).cloned().collect::<Vec<_>>();
        let thought: String = of("thinking").iter().map(|event| event["text"].as_str().unwrap()).collect();
        assert_eq!(thought, format!("Is it {MASK}? It is {MASK}."));
        let text = text_of(events).0;
        assert!(text.contains(&format!("So far: {MASK}, and sk-ant-script it is not.")), "{text}");
        let calls: Vec<_> = of("tool_start").into_iter().filter(|event| event["tool"] == "Bash").collect();
        assert_eq!(calls[0]["input"]["command"], json!(format!("echo {MASK}")), "{calls:#?}");
        let result = of("tool_end").iter().find(|event| event["toolUseId"] == calls[0]["toolUseId"]).cloned();
        assert!(result.as_ref().unwrap()["result"].to_string().contains(MASK), "{result:#?}");
        said.extend(events.iter().map(|event| ("an event", event.to_string())));
    }
    let task = task.as_str().unwrap();
    for path in ["", "/logs", "/logs?format=text", "/logs?format=ndjson"] {
        let text = text(&server, &format!("/task/{task}{path}")).await;
        assert!(text.contains(MASK), "{path}: {text}");
        said.push((path, text));
    }
    said.push(("/session/s", text(&server, "/session/s").await));
    said.push(("the log", server.log()));
    for (what, text) in said {
        assert!(!text.contains(DEFAULT_KEY), "the key is in {what}: {text}");
    }
    assert!(!holds(&server.directory().join("data"), DEFAULT_KEY.as_bytes()), "the key is in DATA_DIR");

    // A caller that knows the key uses it as a session's name, and the server logs sessions.
    server.task(&format!("of {DEFAULT_KEY}"), "say:hello").await.ok();
    let log = server.log();
    assert!(log.contains(&format!("of {MASK}")) && !log.contains(DEFAULT_KEY), "{log}");
    server.finish().await;
}

#[tokio::test]
async fn a_kill_between_masked_words_loses_and_doubles_nothing() {
    let mut server = Setup::new().scripts(&LEAKS.replace("KEY", DEFAULT_KEY)).start().await;
    let mut before = server.subscribe("s").await;
    let task = server.enqueue("s", "leak slowly").await;
    let masked = before.until_event("a masked text", |event| event["text"].to_string().contains(MASK)).await;
    server.kill().await;

    server.start_again().await;
    let mut all = server.subscribe_since("s", 0).await;
    let end = all.until_end_of(&json!(task)).await;
    assert_eq!(end["type"], "task_complete", "{end:#}");
    let words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "end"];
    assert_eq!(text_of(&all.events).0, words.join(&format!(" {MASK} ")));
    assert_eq!(end["response"], json!(words.join(&format!(" {MASK} "))));
    assert!(all.events.contains(&masked), "an event that was seen is no more");
    all.assert_numbered_from(1);
    assert!(!holds(&server.directory().join("data"), DEFAULT_KEY.as_bytes()), "the key is in DATA_DIR");
    server.finish().await;
}

async fn text(server: &crate::server::TestServer, path: &str) -> String {
    server.request(reqwest::Method::GET, path).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn an_api_key_is_masked_too() {
    const HALVES: [&str; 2] = ["an-api-key-of-which-the", "-caller-said-two-halves"];
    let key = HALVES.concat();
    let server = Setup::new().env("API_KEYS", &key).start().await.with_key(&key);
    let said = server.say("s", &format!("bash:printf '%s%s' {} {}", HALVES[0], HALVES[1])).await;
    assert_eq!(said, format!("done: {MASK}"));
    assert!(!holds(&server.directory().join("data"), key.as_bytes()), "the key is in DATA_DIR");
    server.finish().await;
}

#[tokio::test]
async fn a_log_for_programs_is_json_and_masked_too() {
    let server = Setup::new().without_image().env("LOG_FORMAT", "json").start().await;
    server.task(&format!("of {DEFAULT_KEY}"), "say:hello").await.problem(503, "engine_unavailable");
    let log = server.log();
    assert!(log.contains(&format!("of {MASK}")) && !log.contains(DEFAULT_KEY), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        assert_ne!(line["level"], "ERROR", "{line}");
    }
    server.finish().await;
}
