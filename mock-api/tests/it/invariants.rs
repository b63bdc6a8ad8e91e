use mock_api::scripted_model::Credential;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::asking::{Model, ask, called, conversation, user};

const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Sends a request that must fail, and returns the rule that it violated.
async fn breaks(model: &Model, request: RequestBuilder) -> &'static str {
    model.handle.reset();
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    let violations = model.handle.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    let said = body["error"]["message"].as_str().unwrap();
    let expected = format!("broken invariant: {}: {}", violations[0].rule, violations[0].detail);
    assert!(said.ends_with(&expected), "{said}");
    violations[0].rule
}

#[tokio::test]
async fn credentials() {
    let model = Model::start_for_violations().await;
    let body = ask("say:x");
    let bare = || model.bare_request(&body).header(VERSION.0, VERSION.1);
    assert_eq!(breaks(&model, bare()).await, "credential");
    assert_eq!(breaks(&model, bare().header("x-api-key", "another")).await, "credential");
    assert_eq!(breaks(&model, bare().bearer_auth("sk-ant-oat")).await, "credential");
    model.handle.expect_token("sk-ant-oat");
    assert_eq!(breaks(&model, bare().bearer_auth("sk-ant-oat")).await, "oauth_beta");
    assert_eq!(breaks(&model, bare().bearer_auth("sk-ant-oat").header("x-api-key", "k")).await, "credential");
    let right = bare().bearer_auth("sk-ant-oat").header("anthropic-beta", "one, oauth-2025-04-20");
    assert_eq!(right.send().await.unwrap().status(), 200);
    assert_eq!(model.handle.requests().last().unwrap().credential, Credential::OauthToken(0));
}

#[tokio::test]
async fn version_system_prompt_and_body() {
    let model = Model::start_for_violations().await;
    let without_version = model.bare_request(&ask("say:x")).header("x-api-key", "sk-ant-scripted");
    assert_eq!(breaks(&model, without_version).await, "version");
    let mut body = ask("say:x");
    body["system"] = json!([{ "type": "text", "text": " " }]);
    assert_eq!(breaks(&model, model.request(&body)).await, "system_prompt");
    assert_eq!(breaks(&model, model.request(&json!({ "model": "m" }))).await, "body");
    assert_eq!(breaks(&model, model.request(&conversation(&json!([])))).await, "first_message");
}

#[tokio::test]
async fn pairs_of_calls_and_results() {
    let model = Model::start_for_violations().await;
    let body = conversation(&json!([user("say:x"), called("a"), user("say:y")]));
    assert_eq!(breaks(&model, model.request(&body)).await, "tool_pairing");
}

#[tokio::test]
async fn forbidden_texts_are_found_and_not_repeated() {
    let model = Model::start_for_violations().await;
    model.handle.forbid("operators-secret");
    assert_eq!(breaks(&model, model.request(&ask("say:operators-secret"))).await, "forbidden_text");
    let body = ask("say:x");
    assert_eq!(breaks(&model, model.request(&body).header("x-other", "an operators-secret")).await, "forbidden_text");
    assert!(!model.handle.violations()[0].detail.contains("operators-secret"));
}

#[tokio::test]
async fn requests_and_violations_can_be_read_over_http() {
    let model = Model::start_for_violations().await;
    let get = async |path: &str| -> Value {
        reqwest::get(format!("{}{path}", model.handle.url())).await.unwrap().json().await.unwrap()
    };
    model.send(&ask("say:x")).await;
    model.send(&conversation(&json!([]))).await;
    let list = get("/__requests").await;
    assert_eq!(list["count"], 2);
    let first = &list["requests"][0];
    assert_eq!(first["headers"]["x-api-key"], "[redacted]");
    assert_eq!(
        [&first["number"], &first["path"], &first["credential"], &first["prompt"], &first["answered_by"]],
        [
            &json!(1),
            &json!("/v1/messages?beta=true"),
            &json!({ "api_key": 0 }),
            &json!("say:x"),
            &json!("directive say")
        ]
    );
    assert_eq!(first.get("body"), None);
    assert_eq!(get("/__requests?bodies=1").await["requests"][0]["body"]["model"], "claude-sonnet-4-6");
    assert_eq!(list["requests"][1]["answered_by"], "broken invariant");
    let expected = json!({ "violations": [{ "request": 2, "rule": "first_message",
        "detail": "the messages do not begin with one of the user" }] });
    assert_eq!(get("/__violations").await, expected);
    let url = format!("{}/__reset", model.handle.url());
    assert_eq!(reqwest::Client::new().post(url).send().await.unwrap().status(), 204);
    assert_eq!((model.handle.request_count(), model.handle.violations()), (0, vec![]));
}

#[tokio::test]
async fn tokens_are_counted_by_the_same_rules() {
    let model = Model::start_for_violations().await;
    let url = format!("{}/v1/messages/count_tokens", model.handle.url());
    let request = || reqwest::Client::new().post(&url).json(&ask("say:x")).header(VERSION.0, VERSION.1);
    assert_eq!(breaks(&model, request()).await, "credential");
    let counted: Value = request().header("x-api-key", "sk-ant-scripted").send().await.unwrap().json().await.unwrap();
    assert!(counted["input_tokens"].as_u64().unwrap() > 10);
}
