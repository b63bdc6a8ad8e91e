//! Every request that was sent is charged, whoever hangs up and whenever the task ends.

use std::sync::Arc;
use std::time::Duration;

use domain::budget::{InstallationLimits, Payer};
use domain::task::TaskId;
use domain::usage::{Cost, Dimension, UsageFilter};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use store::{Store, StoreOptions};
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::budget::Budgets;
use crate::{SettleBounds, TaskEnd, UsageSnapshot};

/// One thousand tokens of input: $0.003.
const START: &str = concat!(
    r#"data: {"type":"message_start","message":{"model":"claude-sonnet-4-6","usage":{"input_tokens":1000,"#,
    r#""output_tokens":1}}}"#,
    "\n\n"
);
/// One hundred tokens of output: $0.0015.
const END: &str = concat!(
    r#"data: {"type":"message_delta","usage":{"output_tokens":100}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
);
const STATED: Cost = Cost::from_nano_dollars(3_000_000 + 1_500_000);

/// A request of a task whose answer has begun, and the channel for the rest of the answer.
struct Begun {
    world: World,
    task: TaskId,
    upstream: Upstream,
    client: Client,
    answer: http::Response<Incoming>,
}

async fn begun(settle: SettleBounds) -> Begun {
    let (server, upstream) = held_open().await;
    let mut setup = Setup::before(server.address);
    setup.settings.settle = settle;
    let world = setup.open();
    let task = TaskId::generate();
    world.sandbox.begin_task(Payer { task: Some(task.clone()), ..Payer::default() });
    world.gateway.budgets().new_task(&task);
    let mut client = world.client().await;
    upstream.send(Ok(START)).await.unwrap();
    let mut answer = client.start(request("POST", "/v1/messages", ASK)).await;
    assert_eq!(next(answer.body_mut()).await, START);
    Begun { world, task, upstream, client, answer }
}

impl Begun {
    /// Waits until every request is settled, and returns the task's charge.
    async fn charged(&self) -> (Cost, UsageSnapshot) {
        self.world.gateway.budgets().settled(&self.task).await;
        let (cost, usage) = self.world.gateway.budgets().charged(&self.task).unwrap();
        let reading = self.world.sandbox.usage();
        assert_eq!((cost, usage), (reading.cost, Some(reading.usage)), "the account and the task's meter agree");
        (cost, reading)
    }

    fn is_settled(&self) -> bool {
        self.world.gateway.budgets().is_settled(&self.task)
    }
}

const AT_ONCE: SettleBounds = SettleBounds { own: Duration::ZERO, caller: Duration::ZERO };

#[tokio::test]
async fn an_agent_that_hangs_up_pays_what_came() {
    let begun = begun(SettleBounds::default()).await;
    let Begun { world, task, upstream, client, answer } = begun;
    drop((answer, client));
    while world.sandbox.activity().open_requests > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!world.gateway.budgets().is_settled(&task), "the answer is still read");
    upstream.send(Ok(END)).await.unwrap();
    drop(upstream);
    world.gateway.budgets().settled(&task).await;
    assert_eq!(world.gateway.budgets().charged(&task).unwrap().0, STATED);
}

#[tokio::test]
async fn an_agent_that_hangs_up_before_the_answer_begins_pays_what_came() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (server, arrived) = {
        let arrived = Arc::new(tokio::sync::Semaphore::new(0));
        let (gate, seen) = (Arc::clone(&gate), Arc::clone(&arrived));
        let server = Server::start_async(move |_, _| {
            let (gate, seen) = (Arc::clone(&gate), Arc::clone(&seen));
            async move {
                seen.add_permits(1);
                gate.acquire().await.unwrap().forget();
                streamed(format!("{START}{END}").into())
            }
        })
        .await;
        (server, arrived)
    };
    let world = Setup::before(server.address).open();
    let task = TaskId::generate();
    world.sandbox.begin_task(Payer { task: Some(task.clone()), ..Payer::default() });
    let mut client = world.client().await;
    {
        let asked = client.start(request("POST", "/v1/messages", ASK));
        tokio::select! {
            _ = asked => panic!("nobody answers yet"),
            permit = arrived.acquire() => permit.unwrap().forget(),
        }
    }
    drop(client);
    while world.sandbox.activity().open_requests > 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    world.gateway.budgets().settled(&task).await;
    assert_eq!(world.sandbox.usage().cost, STATED);
}

#[tokio::test]
async fn the_end_of_a_task_waits_for_its_open_requests_and_refuses_others() {
    let begun = begun(SettleBounds::default()).await;
    begun.world.sandbox.end_task(TaskEnd::Own);
    assert!(!begun.is_settled());
    let refused = begun.world.ask().await;
    assert_eq!((refused.status.as_u16(), refused.should_retry()), (403, Some("false")));
    assert!(refused.text.contains("no task runs"), "{}", refused.text);
    begun.upstream.send(Ok(END)).await.unwrap();
    assert_eq!(begun.charged().await.0, STATED);
}

#[tokio::test]
async fn a_request_that_outlasts_its_task_costs_its_reservation() {
    let begun = begun(AT_ONCE).await;
    begun.world.sandbox.end_task(TaskEnd::Own);
    let (cost, reading) = begun.charged().await;
    assert_eq!(cost, reservation());
    assert_eq!((reading.usage.input_tokens, reading.usage.output_tokens), (1000, 100));
    begun.upstream.closed().await;
    assert!(begun.answer.collect().await.is_err(), "the agent sees that it was cut");
}

#[tokio::test]
async fn an_agent_that_hung_up_saves_nothing_by_the_end_of_its_task() {
    let mut begun = begun(AT_ONCE).await;
    begun.client = begun.world.client().await;
    begun.world.sandbox.close();
    assert_eq!(begun.charged().await.0, reservation());
}

#[tokio::test]
async fn where_a_caller_aborts_a_cut_request_costs_what_can_have_been_written() {
    let begun = begun(AT_ONCE).await;
    begun.world.sandbox.end_task(TaskEnd::Caller);
    let (cost, reading) = begun.charged().await;
    // The estimate covers less than a tenth of a second at 250 tokens per second, and at most the whole answer.
    assert!(cost > Cost::from_nano_dollars(3_000_000) && cost <= STATED, "{cost:?}");
    assert_eq!(reading.usage.input_tokens, 1000);
}

#[tokio::test]
async fn the_end_of_the_coordinator_cuts_at_once_and_charges_the_reservation() {
    let begun = begun(SettleBounds::default()).await;
    begun.world.gateway.close();
    assert_eq!(begun.charged().await.0, reservation());
    begun.upstream.closed().await;
}

#[tokio::test]
async fn the_end_of_the_coordinator_leaves_a_callers_abort_its_estimate() {
    let begun = begun(SettleBounds::default()).await;
    begun.world.sandbox.end_task(TaskEnd::Caller);
    begun.world.gateway.close();
    let (cost, _) = begun.charged().await;
    assert!(cost > Cost::from_nano_dollars(3_000_000) && cost <= STATED, "{cost:?}");
}

/// The API states the usage several times in an answer. It is complete with the reason why it stopped, or with its end.
#[tokio::test]
async fn usage_that_is_stated_meanwhile_is_not_the_last() {
    const MEANWHILE: &str =
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{\"output_tokens\":9}}\n\n";
    const STOPPED: &str = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n";
    let stated = Cost::from_nano_dollars(3_000_000 + 9 * 15_000);
    for (usage, expected) in [(MEANWHILE, reservation()), (STOPPED, stated)] {
        let begun = begun(AT_ONCE).await;
        begun.upstream.send(Ok(usage)).await.unwrap();
        while begun.world.sandbox.usage().cost < stated {
            tokio::task::yield_now().await;
        }
        begun.world.sandbox.end_task(TaskEnd::Own);
        assert_eq!(begun.charged().await.0, expected, "{usage}");
    }
}

/// A complete answer costs at least what passed, also if the API or a gateway in front of it does not count its output.
#[tokio::test]
async fn output_that_is_not_counted_is_estimated_in_a_complete_answer() {
    const BEFORE: &str = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#;
    const COUNTED: &str = r#"data: {"type":"message_delta","usage":{"output_tokens":250}}"#;
    // A line counts as one token for three bytes, without the 80 bytes around its text.
    let content = format!("{BEFORE}{}\"}}}}", "x".repeat(980 - BEFORE.len() - 3));
    let stopped =
        |usage: &str| format!(r#"data: {{"type":"message_delta","delta":{{"stop_reason":"end_turn"}}{usage}}}"#);
    for (rest, output, estimated) in [
        (vec![content.clone()], 300, 299),
        (vec![content.clone(), stopped("")], 300, 299),
        (vec![content.clone(), stopped(r#","usage":null"#)], 300, 299),
        (vec![content.clone(), stopped(r#","usage":{}"#)], 300, 299),
        (vec![content.clone(), stopped(r#","usage":{"input_tokens":1000,"output_tokens":0}"#)], 300, 299),
        (vec![content.clone(), COUNTED.to_owned(), content.clone(), stopped("")], 550, 300),
        // A figure of the API decides, however much passed.
        (vec![content.clone(), COUNTED.to_owned()], 250, 0),
        (vec![content.clone(), stopped(r#","usage":{"output_tokens":250}"#)], 250, 0),
    ] {
        let rest = rest.join("\n\n");
        let answer = format!("{START}{rest}\n\ndata: {{\"type\":\"message_stop\"}}\n\n");
        let server = Server::start(move |_, _| streamed(answer.clone().into())).await;
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        let tracker = TaskTracker::new();
        let mut setup = Setup::before(server.address);
        setup.settings.budgets =
            Budgets::open(store.clone(), InstallationLimits::default(), tracker.clone()).await.unwrap();
        let world = setup.open();
        assert_eq!(world.ask().await.status, 200);
        let used = world.sandbox.usage();
        assert_eq!((used.usage.input_tokens, used.usage.output_tokens), (1000, output), "{rest}");
        assert_eq!(used.cost, Cost::from_nano_dollars(3_000_000 + output * 15_000), "{rest}");
        tracker.close();
        tracker.wait().await;
        let all = UsageFilter {
            from: "2026-01-01".parse().unwrap(),
            to: "9999-12-31".parse().unwrap(),
            keys: Vec::new(),
            session: None,
            session_prefix: None,
            model: None,
        };
        let totals = store.usage(&all, &[Dimension::Day], 1).await.unwrap().totals;
        assert_eq!((totals.cost, totals.estimated), (used.cost, Cost::from_nano_dollars(estimated * 15_000)), "{rest}");
    }
}

/// The account of a credential decides on the service tier, so only an answer shows it.
#[tokio::test]
async fn after_an_answer_of_another_tier_its_price_is_reserved_for_the_key() {
    let server = Server::start_async(|count, _| async move {
        if count > 1 {
            std::future::pending::<()>().await;
        }
        message("claude-sonnet-4-6", &json!({ "input_tokens": 0, "output_tokens": 1, "service_tier": "priority" }))
    })
    .await;
    let mut setup = Setup::before(server.address);
    setup.settings.settle = AT_ONCE;
    let mut world = setup.open();
    let factor = 6;
    let stated = Cost::from_nano_dollars(15_000 * factor);
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(world.sandbox.usage().cost, stated);

    let own = Payer::default();
    let other = Payer { key: "other".parse().ok(), ..Payer::default() };
    let reserved = reservation();
    for (payer, expected) in [(own, Cost::from_nano_dollars(reserved.nano_dollars() * factor)), (other, reserved)] {
        let before = server.seen().len();
        // The next sandbox of a key knows it too.
        world.sandbox = world.gateway.open();
        world.sandbox.begin_task(payer);
        let mut client = world.client().await;
        let mut asking = Box::pin(client.send(request("POST", "/v1/messages", ASK)));
        while server.seen().len() == before {
            assert!(futures::poll!(asking.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        world.sandbox.end_task(TaskEnd::Own);
        assert_eq!(asking.await.status, 503);
        assert_eq!(world.sandbox.usage().cost, expected);
    }
}

#[tokio::test]
async fn an_agent_that_reads_nothing_does_not_hold_the_end_of_its_task() {
    let begun = begun(SettleBounds::default()).await;
    let piece = format!("data: {{\"type\":\"ping\",\"x\":\"{}\"}}\n\n", "x".repeat(60_000)).leak();
    // The loop fills all buffers on the way, until the gateway stops reading.
    while tokio::time::timeout(Duration::from_millis(200), begun.upstream.send(Ok(piece))).await.is_ok() {}
    begun.world.sandbox.end_task(TaskEnd::Own);
    begun.upstream.send(Ok(END)).await.unwrap();
    assert_eq!(begun.charged().await.0, STATED);
}

#[tokio::test]
async fn requests_that_wait_for_money_end_with_their_task() {
    let (server, upstream) = held_open().await;
    let world = Setup::before(server.address).open();
    let task = TaskId::generate();
    let max_cost = Some(Cost::from_dollars(0.001));
    world.sandbox.begin_task(Payer { task: Some(task.clone()), max_cost, ..Payer::default() });
    let mut first = world.client().await;
    upstream.send(Ok(START)).await.unwrap();
    let _answer = first.start(request("POST", "/v1/messages", ASK)).await;
    let mut second = world.client().await;
    let mut waiting = Box::pin(second.send(request("POST", "/v1/messages", ASK)));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err(), "it waits");
    world.sandbox.end_task(TaskEnd::Own);
    assert_eq!(waiting.await.status, 403);
    assert_eq!(server.seen().len(), 1);
    drop(upstream);
}

#[tokio::test]
async fn the_body_of_a_request_without_a_task_is_not_read() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.settings.bounds.idle_timeout = Duration::from_millis(50);
    let world = setup.open();
    world.sandbox.end_task(TaskEnd::Own);
    // The rest of the body never comes.
    let head =
        "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:8787\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n{";
    let answer = world.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("no task runs"), "{answer}");
}

#[tokio::test]
async fn without_a_task_nothing_is_forwarded() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    world.sandbox.await_task();
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        assert_eq!(world.client().await.send(request("POST", path, ASK)).await.status, 403);
    }
    assert!(world.audit.decisions().iter().all(|line| line.ends_with("refused: no task runs")));
    world.sandbox.begin_task(Payer::default());
    assert_eq!(world.ask().await.status, 200);
    assert_eq!(server.seen().len(), 1);
}
