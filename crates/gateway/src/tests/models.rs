//! Models that this version does not know, and the names and headers of gateways in front of a model API.

use domain::budget::Payer;
use domain::task::TaskId;
use domain::usage::Cost;
use observe::metrics::{Metrics, Standing};
use serde_json::json;

use super::world::*;
use crate::{Credential, Credentials, GatewayFailure, PriceSource};

/// Asks for `model`, and answers with its own name and 1,000 output tokens.
async fn answer_of(model: &str, named: &'static str, setup: impl FnOnce(&mut Setup)) -> (World, Server) {
    let server = Server::start(move |_, _| {
        let usage = json!({ "input_tokens": 0, "output_tokens": 1000 });
        if named.is_empty() {
            return json_answer(200, &json!({ "type": "message", "content": [], "usage": usage }));
        }
        message(named, &usage)
    })
    .await;
    let mut prepared = Setup::before(server.address);
    setup(&mut prepared);
    let world = prepared.open();
    let ask = ASK.replace("claude-sonnet-4-6", model);
    let answer = world.client().await.send(request("POST", "/v1/messages?beta=true", &ask)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (world, server)
}

#[tokio::test]
async fn a_model_without_a_price_is_counted_at_the_dearest_and_reported_once() {
    let metrics = Metrics::default();
    let shared = metrics.clone();
    let (world, _server) = answer_of("claude-next-9", "claude-next-9", |setup| setup.settings.metrics = shared).await;
    let used = world.sandbox.usage();
    assert_eq!(used.cost, Cost::from_dollars(0.075));
    assert_eq!(used.assumed, used.cost);
    let ask = ASK.replace("claude-sonnet-4-6", "claude-next-9");
    world.client().await.send(request("POST", "/v1/messages", &ask)).await;
    // A known model in the same task is not assumed.
    world.ask().await;
    let used = world.sandbox.usage();
    assert_eq!(used.assumed, Cost::from_dollars(0.150));
    assert!(used.cost > used.assumed);

    assert_eq!(world.log.count("this model has no price"), 1);
    let exposed = metrics.expose(&Standing::default());
    assert!(exposed.contains("claude_runner_price_assumed_requests_total 2\n"), "{exposed}");
    let listed = world.gateway.prices().list();
    let found = listed.iter().find(|model| model.name == "claude-next-9").unwrap();
    assert_eq!((found.source, found.price.output), (PriceSource::Assumed, 75.0));
    assert!(found.since.is_some());
}

#[tokio::test]
async fn a_budget_holds_for_a_model_without_a_price() {
    let server =
        Server::start(|_, _| message("claude-next-9", &json!({ "input_tokens": 0, "output_tokens": 1000 }))).await;
    let world = Setup::before(server.address).open();
    let payer = Payer { task: Some(TaskId::generate()), max_cost: Some(Cost::from_dollars(0.1)), ..Payer::default() };
    world.sandbox.begin_task(payer);
    let ask = ASK.replace("claude-sonnet-4-6", "claude-next-9");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.client().await.send(request("POST", "/v1/messages", &ask)).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 402, 402]);
    assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::BudgetExceeded { .. })));
}

#[tokio::test]
async fn names_that_are_refused_are_not_reported() {
    let server = Server::start(|_, _| api_error(404, "not_found_error")).await;
    let world = Setup::before(server.address).open();
    let ask = ASK.replace("claude-sonnet-4-6", "claude-typo");
    world.client().await.send(request("POST", "/v1/messages", &ask)).await;
    assert_eq!(world.log.count("this model has no price"), 0);
    assert!(world.gateway.prices().list().iter().all(|model| model.name != "claude-typo"));
    assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
}

/// Bedrock, Vertex AI and gateways such as LiteLLM, as far as they speak the Messages API: each has its own names, and answers in
/// other ones.
#[tokio::test]
async fn a_gateways_names_have_the_price_of_their_model() {
    for (model, named, dollars) in [
        ("bedrock/anthropic.claude-sonnet-4-6-v1:0", "claude-sonnet-4-6", 0.015),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "", 0.015),
        // Clouds sell a region, or a group of them, at a surcharge.
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", 0.0165),
        ("bedrock/eu-west-1/anthropic.claude-sonnet-4-6-v1:0", "claude-sonnet-4-6", 0.0165),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0", 0.005),
        ("vertex_ai/claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001", 0.005),
        ("claude-haiku-4-5@20251001", "deployment-7", 0.005),
        ("claude-opus-4-5-20251101", "claude-opus-4-5-20251101", 0.025),
        ("our-model", "claude-haiku-4-5", 0.005),
    ] {
        let (world, server) = answer_of(model, named, |_| {}).await;
        let used = world.sandbox.usage();
        assert_eq!((used.cost, used.assumed), (Cost::from_dollars(dollars), Cost::ZERO), "{model} {named}");
        assert_eq!(used.usage.output_tokens, 1000);
        // The name goes to the gateway as it is.
        assert!(server.seen()[0].body.contains(&format!(r#""model":"{model}""#)), "{model}");
    }
}

/// LiteLLM and others accept a key in either header. A path in the base URL is kept.
#[tokio::test]
async fn a_gateway_gets_its_key_as_a_key_or_as_a_bearer() {
    let bearer = |setup: &mut Setup| {
        setup.credentials = Credentials::new(Some(Credential::oauth_token("sk-litellm").unwrap()), None);
        setup.settings.upstream.set_path("/bedrock/v1/");
    };
    let (_, server) = answer_of("claude-sonnet-4-6", "claude-sonnet-4-6", bearer).await;
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /bedrock/v1/messages?beta=true");
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (Some("Bearer sk-litellm"), None));

    let key = |setup: &mut Setup| {
        setup.credentials = Credentials::new(Some(Credential::api_key("sk-litellm").unwrap()), None);
    };
    let (_, server) = answer_of("claude-sonnet-4-6", "claude-sonnet-4-6", key).await;
    let seen = &server.seen()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-api-key")), (None, Some("sk-litellm")));
}
