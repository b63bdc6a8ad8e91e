//! Tests that no other model than the task's answers in its conversation.

use domain::budget::Payer;
use domain::session::SessionId;
use observe::telemetry::TaskTrace;
use serde_json::json;

use super::world::*;
use crate::{AssignedTask, Assignee, GatewayFailure, SessionAccess};

const TOOLS: &str = r#","tools":[{"name":"Bash","input_schema":{}}]"#;
const SEARCH: &str = r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#;
const SESSION: (&str, &str) = ("x-claude-code-session-id", "6f9f1b6e");
const SUBAGENT: (&str, &str) = ("x-claude-code-agent-id", "a4d77877");

fn assign(world: &World, model: &str) {
    let session: SessionId = "s".parse().unwrap();
    let task =
        Some(AssignedTask { payer: Payer::default(), trace: TaskTrace::default(), model: Some(model.to_owned()) });
    world.sandbox.assign(Assignee { session, access: SessionAccess::default(), task });
}

async fn ask(world: &World, model: &str, headers: &[(&str, &str)], tools: &str) -> Answer {
    let body = format!(r#"{{"model":"{model}","max_tokens":100,"messages":[]{tools}}}"#);
    let mut request = request("POST", "/v1/messages?beta=true", &body);
    for (name, value) in headers {
        request.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    world.client().await.send(request).await
}

#[tokio::test]
async fn a_request_of_the_conversation_with_another_model_is_not_sent() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    world.sandbox.expect_conversation();
    assign(&world, "claude-opus-4-6");
    let refused = ask(&world, "claude-sonnet-4-6", &[SESSION], TOOLS).await;
    assert_eq!((refused.status.as_u16(), refused.should_retry()), (403, Some("false")));
    assert_eq!(server.seen().len(), 0);
    let Some(GatewayFailure::ModelRefused { sentence }) = world.sandbox.failure() else { panic!("no failure") };
    assert!(sentence.contains("claude-opus-4-6") && sentence.contains("claude-sonnet-4-6"), "{sentence}");

    // Subagents and the requests beside the conversation have models of their own.
    let nested = (SESSION.0, "77d0c2aa");
    for (headers, tools) in
        [(&[SESSION, SUBAGENT][..], TOOLS), (&[SESSION], SEARCH), (&[SESSION], ""), (&[nested], TOOLS), (&[], TOOLS)]
    {
        assert_eq!(ask(&world, "claude-haiku-4-5", headers, tools).await.status, 200, "{headers:?} {tools}");
    }
    assert!(world.sandbox.failure().is_some(), "their success does not clear the failure");
    assert_eq!(ask(&world, "claude-opus-4-6-20260101", &[SESSION], TOOLS).await.status, 200);
    world.sandbox.begin_task(Payer::default());
    assert_eq!(ask(&world, "claude-sonnet-4-6", &[SESSION], TOOLS).await.status, 200, "no model was asked for");
}

#[tokio::test]
async fn an_api_without_the_model_refuses_the_task_and_without_another_one_only_the_request() {
    for (status, kind, message) in [
        (404, "not_found_error", "model: claude-opus-4-6"),
        (400, "invalid_request_error", "The provided model identifier is invalid."),
        (403, "permission_error", "your organization has no access to claude-opus-4-6"),
        (400, "invalid_request_error", "/chat/completions: Invalid model name passed in model=claude-opus-4-6"),
        (404, "model_not_found", "there is none"),
    ] {
        let server = Server::start(move |_, _| {
            json_answer(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
        })
        .await;
        let world = Setup::before(server.address).open();
        assign(&world, "claude-opus-4-6");
        assert_eq!(ask(&world, "claude-opus-4-6", &[SESSION], TOOLS).await.status, status, "{message}");
        let failure = world.sandbox.failure();
        assert!(matches!(failure, Some(GatewayFailure::ModelRefused { .. })), "{message}: {failure:?}");
        assign(&world, "claude-sonnet-4-6");
        ask(&world, "claude-opus-4-6", &[SESSION], "").await;
        let failure = world.sandbox.failure();
        assert!(matches!(failure, Some(GatewayFailure::BadRequest { .. })), "{message}: {failure:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_something_else_is_no_refusal_of_the_model() {
    for message in [
        "thinking is not supported by this model",
        "`temperature` may not be set for claude-opus-4-6",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ] {
        let server = Server::start(move |_, _| {
            json_answer(
                400,
                &json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
            )
        })
        .await;
        let world = Setup::before(server.address).open();
        assign(&world, "claude-opus-4-6");
        ask(&world, "claude-opus-4-6", &[SESSION], TOOLS).await;
        let failure = world.sandbox.failure();
        assert!(matches!(failure, Some(GatewayFailure::BadRequest { .. })), "{message}: {failure:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_twice_for_the_same_reason_is_not_repeated() {
    for (message, statuses) in [
        ("messages: roles must alternate", [400, 402, 402]),
        // The CLI leaves out what the API does not take, one thing after the other.
        ("tools.0.defer_loading: Extra inputs are not permitted", [400, 400, 400]),
    ] {
        let server = Server::start(move |_, _| {
            json_answer(
                400,
                &json!({ "type": "error", "error": { "type": "invalid_request_error", "message": message } }),
            )
        })
        .await;
        let world = Setup::before(server.address).open();
        for status in statuses {
            assert_eq!(world.ask().await.status, status, "{message}");
        }
        world.sandbox.begin_task(Payer::default());
        assert_eq!(world.ask().await.status, 400, "{message}: another task begins anew");
    }
}
