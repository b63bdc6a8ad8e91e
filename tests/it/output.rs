//! Structured answers, with a schema and without one.

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

#[tokio::test]
async fn without_a_schema_the_object_in_the_answer_is_the_output() {
    let server = TestServer::start().await;
    let object = json!({ "a": "} {", "b": [1] });
    for message in
        [format!("say:{object}"), format!("say:Here it is {{not this}}:\n```json\n{object}\n```\nIs that {{}} all?")]
    {
        let answer = server.task("s", &message).await.ok();
        assert_eq!(answer["output"], object, "{message}");
    }
    let answer = server.task("s", "say:No {object} here.").await.ok();
    assert_eq!((&answer["output"], &answer["response"]), (&Value::Null, &json!("No {object} here.")));
    server.finish().await;
}

/// An agent that answers in plain text until it gets the schema error.
const STUBBORN: &str = r#"
[[script]]
name = "told"
when.message = ["*could not be used*"]
[[script.step]]
output = { action = "reply", response = "now as an object", confidence = 1.0 }

[[script]]
name = "words"
when.message = ["answer in words"]
[[script.step]]
text = "Only words."
"#;

#[tokio::test]
async fn with_a_schema_an_answer_fits_it_or_the_task_fails() {
    let server = Setup::new().acme_agent().scripts(STUBBORN).start().await;
    let right = json!({ "action": "reply", "response": "hi", "confidence": 1 });
    let answer = server.task("s", &format!("json:{right}")).await.ok();
    assert_eq!(answer["output"], right);
    assert_eq!(answer["tools"], json!([]), "the mechanism is no tool");

    let answer = server.task("s", "answer in words").await.ok();
    assert_eq!(answer["output"]["response"], "now as an object");

    let wrong = server.task("s", r#"json:{"action":"sing"}"#).await.problem(502, "invalid_output");
    assert_eq!((&wrong["status"], &wrong["errorType"]), (&json!("failed"), &json!("invalid_output")));
    assert_eq!(server.task("s", &format!("json:{right}")).await.ok()["output"], right);
    server.finish().await;
}
