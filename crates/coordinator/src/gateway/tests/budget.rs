//! A task's money.

use std::sync::Arc;

use serde_json::json;

use super::world::*;
use crate::gateway::meter::Meter;
use crate::gateway::sse::statement_of_json;
use crate::gateway::tokens::TokenCounts;
use crate::gateway::{GatewayFailure, Prices, TaskLimits};
use crate::usage::Cost;

fn limit(dollars: f64) -> TaskLimits {
    TaskLimits { max_cost: Some(Cost::from_dollars(dollars)) }
}

/// A million output tokens of Sonnet, which is $15.
const DEAR: TokenCounts =
    TokenCounts { input: 0, output: 1_000_000, cache_write_5m: 0, cache_write_1h: 0, cache_read: 0, web_searches: 0 };
const MODEL: &str = "claude-sonnet-4-6";

#[tokio::test]
async fn the_request_after_the_limit_is_refused() {
    // Each costs one cent.
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

    // The next task has its own money, although the reading goes on.
    world.sandbox.begin_task(limit(0.005));
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(world.ask().await.status, 402);
    world.sandbox.begin_task(TaskLimits::default());
    assert_eq!(world.ask().await.status, 200);
}

#[tokio::test]
async fn a_second_request_waits_while_the_first_may_use_up_the_rest() {
    let meter = Arc::new(Meter::new(Arc::new(Prices::load(None).unwrap())));
    meter.begin_task(limit(10.0));
    let first = meter.reserve(MODEL, &DEAR).await.unwrap();
    let second = meter.reserve(MODEL, &DEAR);
    tokio::pin!(second);
    assert!(futures::poll!(second.as_mut()).is_pending());
    // It cost nothing after all.
    drop(first);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_waiting_request_is_refused_when_the_first_has_used_up_the_rest() {
    let meter = Arc::new(Meter::new(Arc::new(Prices::load(None).unwrap())));
    meter.begin_task(limit(10.0));
    let mut first = meter.reserve(MODEL, &DEAR).await.unwrap();
    let second = meter.reserve(MODEL, &DEAR);
    tokio::pin!(second);
    assert!(futures::poll!(second.as_mut()).is_pending());
    first.add(statement_of_json(br#"{"usage":{"output_tokens":1000000}}"#).unwrap());
    drop(first);
    assert!(second.await.is_err_and(|refused| refused.spent == Cost::from_dollars(15.0)));
}

#[tokio::test]
async fn requests_side_by_side_are_free_while_there_is_money() {
    let meter = Arc::new(Meter::new(Arc::new(Prices::load(None).unwrap())));
    meter.begin_task(limit(31.0));
    let open =
        [meter.reserve(MODEL, &DEAR).await, meter.reserve(MODEL, &DEAR).await, meter.reserve(MODEL, &DEAR).await];
    assert!(open.iter().all(Result::is_ok));
    let fourth = meter.reserve(MODEL, &DEAR);
    tokio::pin!(fourth);
    assert!(futures::poll!(fourth.as_mut()).is_pending());
    meter.begin_task(TaskLimits::default());
    assert!(fourth.await.is_ok(), "new limits are heeded at once");
}
