//! The budget of a task.

use std::sync::Arc;

use domain::access::KeyLimits;
use domain::budget::{InstallationLimits, Payer};
use domain::task::TaskId;
use domain::usage::Cost;
use observe::metrics::Metrics;
use serde_json::json;

use super::world::*;
use crate::bound::{Bound, Certainty};
use crate::budget::{Budgets, Refusal};
use crate::meter::Meter;
use crate::sse::statement_of_json;
use crate::task::{SettleBounds, TaskRequests};
use crate::tokens::TokenCounts;
use crate::{GatewayFailure, Prices, TaskEnd};

/// Returns a payer with its own task and this limit.
fn limit(dollars: f64) -> Payer {
    Payer { task: Some(TaskId::generate()), max_cost: Some(Cost::from_dollars(dollars)), ..Payer::default() }
}

fn task(limit: Payer) -> Arc<TaskRequests> {
    Arc::new(TaskRequests::new(limit, None))
}

fn meter() -> Arc<Meter> {
    let budgets = Budgets::in_memory(InstallationLimits::default());
    let prices = Arc::new(Prices::load(None).unwrap());
    Arc::new(Meter::new(prices, Arc::default(), budgets, Metrics::default(), SettleBounds::default()))
}

/// A million output tokens of Sonnet, which is $15.
const DEAR: Bound = Bound {
    most: TokenCounts {
        input: 0,
        output: 1_000_000,
        cache_write_5m: 0,
        cache_write_1h: 0,
        cache_read: 0,
        web_searches: 0,
        unknown: 0,
        fast: false,
        regional: false,
        priority: false,
    },
    certainty: Certainty::Bounded,
};

const MODEL: &str = "claude-sonnet-4-6";

#[tokio::test]
async fn the_request_after_the_limit_is_refused() {
    // Each request costs one cent.
    let server = Server::start(|_, _| {
        message(MODEL, &json!({ "input_tokens": 0, "output_tokens": 666, "cache_read_input_tokens": 34 }))
    })
    .await;
    let world = Setup::before(server.address).open();
    world.sandbox.begin_task(limit(0.025));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.ask().await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 402]);
    assert_eq!(server.seen().len(), 3, "overrun by one request and no more");
    let Some(GatewayFailure::BudgetExceeded { sentence }) = world.sandbox.failure() else { panic!() };
    assert!(sentence.contains("$0.0250") && sentence.contains("$0.0300"), "{sentence}");

    // The next task has its own budget, although the earlier answer is still being read.
    world.sandbox.begin_task(limit(0.005));
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(world.ask().await.status, 402);
    world.sandbox.end_task(TaskEnd::Own);
    world.sandbox.begin_task(Payer::default());
    assert_eq!(world.ask().await.status, 200);
}

#[tokio::test]
async fn a_second_request_waits_while_the_first_may_use_up_the_rest() {
    let meter = meter();
    let task = task(limit(10.0));
    let first = meter.reserve(&task, MODEL, &DEAR).await.unwrap();
    let second = meter.reserve(&task, MODEL, &DEAR);
    tokio::pin!(second);
    assert!(futures::poll!(second.as_mut()).is_pending());
    // The request cost nothing.
    drop(first);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_waiting_request_is_refused_when_the_first_has_used_up_the_rest() {
    let meter = meter();
    let task = task(limit(10.0));
    let mut first = meter.reserve(&task, MODEL, &DEAR).await.unwrap();
    let second = meter.reserve(&task, MODEL, &DEAR);
    tokio::pin!(second);
    assert!(futures::poll!(second.as_mut()).is_pending());
    first.add(statement_of_json(br#"{"type":"message","usage":{"input_tokens":0,"output_tokens":1000000}}"#).unwrap());
    drop(first);
    let Err(Refusal::Spent(spent)) = second.await else { panic!() };
    assert_eq!(spent.spent, Cost::from_dollars(15.0));
}

#[tokio::test]
async fn requests_side_by_side_are_free_while_there_is_money() {
    let meter = meter();
    let task = task(limit(31.0));
    let mut open = vec![
        meter.reserve(&task, MODEL, &DEAR).await,
        meter.reserve(&task, MODEL, &DEAR).await,
        meter.reserve(&task, MODEL, &DEAR).await,
    ];
    assert!(open.iter().all(Result::is_ok));
    let fourth = meter.reserve(&task, MODEL, &DEAR);
    tokio::pin!(fourth);
    assert!(futures::poll!(fourth.as_mut()).is_pending());
    open.pop();
    assert!(fourth.await.is_ok());
}

#[tokio::test]
async fn what_a_cut_answer_cost_is_estimated() {
    let (server, upstream) = held_open().await;
    let world = Setup::before(server.address).open();
    let mut client = world.client().await;
    let start = concat!(
        r#"data: {"type":"message_start","message":{"model":"claude-sonnet-4-6","usage":{"input_tokens":1000,"#,
        r#""output_tokens":1}}}"#,
        "\n\n"
    );
    upstream.send(Ok(start)).await.unwrap();
    let mut answer = client.start(request("POST", "/v1/messages", ASK)).await;
    next(answer.body_mut()).await;
    let delta = concat!(
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"123456789 123456789 "}}"#,
        "\n\n"
    );
    for _ in 0..10 {
        upstream.send(Ok(delta)).await.unwrap();
        next(answer.body_mut()).await;
    }
    upstream.send(Err(std::io::Error::other("cut"))).await.unwrap();
    assert!(http_body_util::BodyExt::collect(answer).await.is_err());
    let reading = world.sandbox.usage();
    assert_eq!(reading.usage.input_tokens, 1000, "what is stated is not estimated");
    assert!((50..=150).contains(&reading.usage.output_tokens), "200 characters are {reading:?}");
    assert_eq!(reading.cost, Cost::from_nano_dollars(3_000_000 + reading.usage.output_tokens * 15_000));
}

#[tokio::test]
async fn a_refused_request_costs_nothing() {
    let server = Server::start(|_, _| api_error(400, "invalid_request_error")).await;
    let world = Setup::before(server.address).open();
    assert_eq!(world.ask().await.status, 400);
    assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
}

#[tokio::test]
async fn a_key_asks_its_own_models_for_answers_of_its_length() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let key_limits = KeyLimits {
        models: Some(vec!["claude-sonnet-4-6".to_owned()]),
        max_output_tokens: Some(64),
        ..KeyLimits::default()
    };
    world.sandbox.begin_task(Payer { key_limits, ..Payer::default() });
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(server.seen()[0].body, ASK.replace(":100,", ":64,"));

    let other = ASK.replace("claude-sonnet-4-6", "claude-haiku-4-5");
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let refused = world.client().await.send(request("POST", path, &other)).await;
        assert_eq!((refused.status.as_u16(), refused.should_retry()), (403, Some("false")));
        let sentence = refused.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(sentence.contains("claude-haiku-4-5") && sentence.contains("claude-sonnet-4-6"), "{sentence}");
    }
    assert_eq!(server.seen().len(), 1);
    // The earlier failure does not count for a task that succeeds afterwards.
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(world.sandbox.failure(), None);
}
