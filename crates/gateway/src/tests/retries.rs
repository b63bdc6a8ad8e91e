//! Tests the retries of requests that the API did not answer with a success.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::response::Response;
use domain::budget::Payer;
use domain::usage::Cost;
use serde_json::json;

use super::world::*;
use crate::{GatewayFailure, OutageBounds, RetryBudget, SettleBounds, TaskEnd};

fn success() -> Response {
    message("claude-sonnet-4-6", &json!({ "input_tokens": 0, "output_tokens": 0 }))
}

fn with_header(mut response: Response, name: &'static str, value: &'static str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

#[tokio::test]
async fn an_overloaded_api_is_asked_again() {
    for (status, kind) in [(429, "rate_limit_error"), (529, "overloaded_error"), (503, "overloaded_error")] {
        let server = Server::start(move |count, _| if count < 3 { api_error(status, kind) } else { success() }).await;
        let world = Setup::before(server.address).open();
        assert_eq!(world.ask().await.status, 200, "{status}");
        assert_eq!(server.seen().len(), 3, "{status}");
        assert_eq!(world.sandbox.failure(), None, "{status}");
        assert_eq!(world.sandbox.usage().usage.requests, 1, "{status}");
    }
}

#[tokio::test]
async fn an_api_that_stays_overloaded_ends_the_task_with_the_true_reason() {
    for (status, kind) in [(429, "rate_limit_error"), (529, "overloaded_error")] {
        let server = Server::start(move |_, _| {
            let error = with_header(api_error(status, kind), "anthropic-ratelimit-unified-status", "rejected");
            with_header(error, "anthropic-organization-id", "org-1")
        })
        .await;
        let world = Setup::before(server.address).open();
        let answer = world.ask().await;
        // The status is always 429, which the CLI does not retry if the header forbids it.
        assert_eq!((answer.status.as_u16(), answer.should_retry()), (429, Some("false")), "{status}");
        // With the original error type the CLI would retry an overloaded API.
        assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
        assert_eq!(answer.headers["anthropic-ratelimit-unified-status"], "rejected");
        assert_eq!(answer.headers.get("anthropic-organization-id"), None);
        assert_eq!(server.seen().len(), 3, "{status}");
        let sentence = format!("the model API answered {status} ({kind}: said {kind}), asked 3 times");
        assert_eq!(world.sandbox.failure(), Some(GatewayFailure::CapacityReached { sentence }));
        world.sandbox.begin_task(Payer::default());
        assert_eq!(world.sandbox.failure(), None, "a new task begins without the old one's failure");
    }
}

#[tokio::test]
async fn a_wait_beyond_the_bound_is_not_begun() {
    let server = Server::start(|_, _| with_header(api_error(429, "rate_limit_error"), "retry-after", "3600")).await;
    let world = Setup::before(server.address).open();
    assert_eq!(world.ask().await.status, 429);
    assert_eq!(server.seen().len(), 1);
    assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::CapacityReached { .. })));
}

#[tokio::test]
async fn an_api_that_says_not_to_ask_again_is_believed() {
    let server = Server::start(|_, _| with_header(api_error(429, "rate_limit_error"), "x-should-retry", "false")).await;
    let world = Setup::before(server.address).open();
    assert_eq!(world.ask().await.status, 429);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_credential_ends_the_task() {
    for status in [401, 403] {
        let server = Server::start(move |_, _| api_error(status, "authentication_error")).await;
        let world = Setup::before(server.address).open();
        let answer = world.ask().await;
        assert_eq!((answer.status.as_u16(), answer.should_retry()), (401, Some("false")));
        assert_eq!(server.seen().len(), 1);
        let Some(GatewayFailure::AuthExpired { sentence }) = world.sandbox.failure() else { panic!() };
        assert!(sentence.contains(&status.to_string()) && sentence.contains("ANTHROPIC_API_KEY"), "{sentence}");
        assert!(!answer.text.contains("sk-operator"));
    }
}

#[tokio::test]
async fn a_bad_request_comes_back_as_it_is_and_is_forgotten_after_a_success() {
    let server =
        Server::start(|count, _| if count == 1 { api_error(400, "invalid_request_error") } else { success() }).await;
    let world = Setup::before(server.address).open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (400, None));
    assert_eq!(answer.json()["error"]["message"], "said invalid_request_error");
    assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::BadRequest { .. })));
    world.ask().await;
    assert_eq!(world.sandbox.failure(), None);
}

#[tokio::test]
async fn outages_are_left_to_the_cli() {
    let server = Server::start(|_, _| json_answer(500, &json!("<html>"))).await;
    let world = Setup::before(server.address).open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (502, None));
    assert_eq!(server.seen().len(), 1);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = Setup::before(nobody).open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (502, None));
    assert_eq!(answer.json()["type"], "error");
    let Some(GatewayFailure::Unreachable { sentence }) = world.sandbox.failure() else { panic!() };
    assert!(sentence.contains("nothing listens there"), "{sentence}");
}

#[tokio::test]
async fn an_outage_that_lasts_is_retried_here_and_then_ends_the_task() {
    let outage =
        |left_to_cli, total| OutageBounds { left_to_cli, total, pause: Duration::ZERO, ..OutageBounds::default() };
    let hour = Duration::from_hours(1);
    let server = Server::start(|count, _| match count {
        1 => api_error(502, "api_error"),
        2 => json_answer(500, &json!("")),
        3 => json_answer(521, &json!("")),
        _ => success(),
    })
    .await;
    let mut setup = Setup::before(server.address);
    setup.settings.outage = outage(Duration::ZERO, hour);
    let world = setup.open();
    assert_eq!(world.ask().await.status, 200);
    assert_eq!((server.seen().len(), world.sandbox.failure()), (4, None));
    assert_eq!(world.sandbox.usage().cost, Cost::ZERO);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut setup = Setup::before(nobody);
    setup.settings.outage = outage(Duration::ZERO, Duration::ZERO);
    let world = setup.open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.should_retry()), (429, Some("false")));
    assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::Unreachable { .. })));
}

/// A server in front of the API that got no answer may have passed the request on.
#[tokio::test]
async fn a_request_that_was_lost_behind_an_intermediary_is_charged_as_reserved_and_not_sent_again() {
    for status in [502, 504, 520, 524] {
        let server = Server::start(move |_, _| json_answer(status, &json!("<html>"))).await;
        let mut setup = Setup::before(server.address);
        setup.settings.outage = OutageBounds { left_to_cli: Duration::ZERO, ..OutageBounds::default() };
        let world = setup.open();
        let text = world.ask().await.text;
        assert!(text.contains(&format!("answered {status}; the request is charged as reserved")), "{text}");
        assert_eq!((server.seen().len(), world.sandbox.usage().cost), (1, reservation()), "{status}");
    }
}

#[tokio::test]
async fn redirects_do_not_carry_the_credential_away() {
    let thief = Server::answering().await;
    let to = thief.url("/v1/messages");
    let server = Server::start(move |_, _| {
        let mut answer = json_answer(307, &json!({}));
        answer.headers_mut().insert("location", to.parse().unwrap());
        answer
    })
    .await;
    let world = Setup::before(server.address).open();
    // A repetition would be redirected too.
    assert_eq!(world.ask().await.should_retry(), Some("false"));
    assert!(thief.seen().is_empty());
}

/// A gateway whose requests are cut at the end of their task, and that waits an hour between two tries.
fn cut_at_once(upstream: SocketAddr) -> Setup {
    let mut setup = Setup::before(upstream);
    let hour = Duration::from_hours(1);
    setup.settings.settle = SettleBounds { own: Duration::ZERO, caller: Duration::ZERO };
    setup.settings.retry = RetryBudget { first_delay: hour, total: 2 * hour, ..setup.settings.retry };
    setup.settings.outage = OutageBounds { left_to_cli: Duration::ZERO, total: 2 * hour, pause: hour, answer: hour };
    setup
}

#[tokio::test]
async fn a_request_that_is_cut_between_two_tries_costs_nothing() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let overloaded = Server::start(|_, _| api_error(529, "overloaded_error")).await;
    let failing = Server::start(|_, _| api_error(500, "api_error")).await;
    for upstream in [nobody, overloaded.address, failing.address] {
        for end in [TaskEnd::Own, TaskEnd::Caller, TaskEnd::Shutdown] {
            let world = cut_at_once(upstream).open();
            let mut client = world.client().await;
            let mut asking = Box::pin(client.send(request("POST", "/v1/messages", ASK)));
            until(|| world.log.count("retrying the model API") == 1, &mut asking).await;
            world.sandbox.end_task(end);
            assert_eq!(asking.await.status, 503);
            let used = world.sandbox.usage();
            assert_eq!((used.cost, used.usage.requests), (Cost::ZERO, 0), "{end:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_cut_after_it_was_sent_again_is_charged() {
    let server = Server::start_async(|count, _| async move {
        if count > 1 {
            std::future::pending::<()>().await;
        }
        api_error(529, "overloaded_error")
    })
    .await;
    let mut setup = cut_at_once(server.address);
    setup.settings.retry.first_delay = Duration::ZERO;
    let world = setup.open();
    let mut client = world.client().await;
    let mut asking = Box::pin(client.send(request("POST", "/v1/messages", ASK)));
    until(|| server.seen().len() == 2, &mut asking).await;
    world.sandbox.end_task(TaskEnd::Own);
    assert_eq!(asking.await.status, 503);
    assert_eq!(world.sandbox.usage().cost, reservation());
}

#[tokio::test]
async fn waiting_ends_when_the_client_is_gone() {
    let server = Server::start(|_, _| api_error(529, "overloaded_error")).await;
    let mut setup = Setup::before(server.address);
    setup.settings.retry.first_delay = Duration::from_hours(1);
    setup.settings.retry.total = Duration::from_hours(2);
    let world = setup.open();
    let mut client = world.client().await;
    let asking = client.start(request("POST", "/v1/messages", ASK));
    {
        tokio::pin!(asking);
        until(|| server.seen().len() == 1, &mut asking).await;
        assert_eq!(world.sandbox.activity().open_requests, 1);
    }
    drop(client);
    until(|| world.sandbox.activity().open_requests == 0, &mut std::future::pending::<()>()).await;
}

/// Lets everything else run until `condition` holds.
async fn until<F: Future + Unpin>(condition: impl Fn() -> bool, running: &mut F) {
    while !condition() {
        tokio::select! {
            _ = &mut *running => panic!("ended too early"),
            () = tokio::task::yield_now() => {}
        }
    }
}
