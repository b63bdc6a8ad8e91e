//! The usage is what the API's answers state, in every form of answer.

use axum::body::Body;
use bytes::Bytes;
use domain::usage::{Cost, Usage};
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::*;
use crate::sse::{UsageReader, statement_of_json};
use crate::tokens::TokenCounts;
use crate::{PriceSource, Prices, UsageSnapshot};

const STREAM: &str = "event: message_start\r\n\
    data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-sonnet-4-5-20250929\",\"usage\":{\
    \"input_tokens\":3,\"cache_creation_input_tokens\":150,\"cache_read_input_tokens\":1000,\
    \"cache_creation\":{\"ephemeral_5m_input_tokens\":100,\"ephemeral_1h_input_tokens\":50},\"output_tokens\":1}}}\r\n\
    \r\n\
    event: ping\ndata: {\"type\":\"ping\"}\n\n\
    event: content_block_delta\n\
    data:{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"data: {\\\"type\\\":\\\"message_delta\\\",\\\"usage\\\":\
    {\\\"output_tokens\\\":9999}} \u{1f980}\"}}\n\n\
    event: message_delta\n\
    data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":12}}\n\n\
    data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":1000,\"output_tokens\":25,\
    \"server_tool_use\":{\"web_search_requests\":2}}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const WHOLE: TokenCounts = TokenCounts {
    input: 3,
    output: 25,
    cache_write_5m: 100,
    cache_write_1h: 50,
    cache_read: 1000,
    web_searches: 2,
    unknown: 0,
    fast: false,
    regional: false,
    priority: false,
};

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> TokenCounts {
    let mut reader = UsageReader::default();
    let mut counts = TokenCounts::default();
    for piece in pieces {
        reader.read(piece, |statement| counts.update(&statement.usage));
    }
    reader.finish(|statement| counts.update(&statement.usage));
    counts
}

#[test]
fn a_stream_read_byte_by_byte_states_the_same() {
    assert_eq!(read([STREAM.as_bytes()]), WHOLE);
    assert_eq!(read(STREAM.as_bytes().chunks(1)), WHOLE);
}

proptest! {
    #[test]
    fn chunking_changes_nothing(sizes in prop::collection::vec(1_usize..200, 1..100)) {
        let mut rest = STREAM.as_bytes();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(read(pieces), WHOLE);
    }

    #[test]
    fn a_cut_stream_counts_what_was_seen(cut in 0..STREAM.len()) {
        let counts = read([&STREAM.as_bytes()[..cut]]);
        let start = STREAM.find("\r\n\r\n").unwrap();
        if cut >= start {
            prop_assert_eq!(counts.input, 3);
            prop_assert!([1, 12, 25].contains(&counts.output));
        } else {
            prop_assert!(counts == TokenCounts::default() || cut > start - 2);
        }
    }

    #[test]
    fn nonsense_is_no_usage(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut stream = b"data: {\"usage\"".to_vec();
        stream.extend(bytes);
        prop_assert_eq!(read([stream.as_slice()]), TokenCounts::default());
    }
}

#[test]
fn a_line_of_any_length_is_survived() {
    let long = format!("data: {{\"usage\":\"{}\"}}\n\n", "x".repeat(1 << 20));
    assert_eq!(read([long.as_bytes(), STREAM.as_bytes()]), WHOLE);
}

#[test]
fn absurd_figures_do_not_overflow() {
    let line = format!(
        "data: {{\"type\":\"message_delta\",\"usage\":{{\"input_tokens\":{0},\"output_tokens\":{0}}}}}\n",
        u64::MAX
    );
    let counts = read([line.as_bytes()]);
    assert_eq!((counts.input, counts.output), (1 << 32, 1 << 32));
}

#[tokio::test]
async fn a_streamed_answer_is_metered_and_passes_unchanged() {
    let server = Server::start(|_, _| {
        let pieces = STREAM.as_bytes().chunks(7).map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece)));
        streamed(Body::from_stream(futures::stream::iter(pieces.collect::<Vec<_>>())))
    })
    .await;
    let world = Setup::before(server.address).open();
    assert_eq!(world.ask().await.text, STREAM);
    let usage = Usage {
        input_tokens: 3,
        output_tokens: 25,
        cache_creation_input_tokens: 150,
        cache_read_input_tokens: 1000,
        requests: 1,
    };
    // 3 × $3 + 25 × $15 + 100 × $3.75 + 50 × $6 + 1000 × $0.30, per million each, and two searches for a cent each.
    let cost = Cost::from_nano_dollars(9_000 + 375_000 + 375_000 + 300_000 + 300_000 + 20_000_000);
    assert_eq!(world.sandbox.usage(), UsageSnapshot { usage, cost, assumed: Cost::ZERO });
}

#[tokio::test]
async fn an_answer_that_is_cut_counts_as_far_as_it_came() {
    let (server, upstream) = held_open().await;
    let world = Setup::before(server.address).open();
    let mut client = world.client().await;
    upstream.send(Ok(&STREAM[..STREAM.find("event: ping").unwrap()])).await.unwrap();
    let mut answer = client.start(request("POST", "/v1/messages", ASK)).await;
    next(answer.body_mut()).await;
    upstream.send(Err(std::io::Error::other("cut"))).await.unwrap();
    assert!(answer.collect().await.is_err(), "the client sees that it was cut");
    let UsageSnapshot { usage, .. } = world.sandbox.usage();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.requests), (3, 1, 1));
}

#[tokio::test]
async fn an_answer_in_one_document_is_metered() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    for round in 1..=2 {
        assert_eq!(world.ask().await.json()["type"], "message");
        let UsageSnapshot { usage, cost, .. } = world.sandbox.usage();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.requests), (10 * round, 20 * round, round));
        assert_eq!(cost, Cost::from_nano_dollars(round * (10 * 3_000 + 20 * 15_000)));
    }
}

/// Returns the usage of one answer with these figures.
fn counted(usage: &Value) -> TokenCounts {
    let body = json!({ "type": "message", "model": "claude-sonnet-4-6", "usage": usage });
    let mut counts = TokenCounts::default();
    counts.update(&statement_of_json(body.to_string().as_bytes()).unwrap().usage);
    counts
}

#[test]
fn iterations_count_where_they_are_more_than_the_totals() {
    let counts = counted(&json!({
        "input_tokens": 23_000, "output_tokens": 1_000,
        "iterations": [
            { "type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500 },
            { "type": "message", "input_tokens": 23_000, "output_tokens": 1_000, "cache_read_input_tokens": 7 },
        ],
    }));
    assert_eq!((counts.input, counts.output, counts.cache_read), (203_000, 4_500, 7));
}

#[test]
fn tokens_of_an_unknown_kind_count_as_output() {
    let counts = counted(&json!({
        "input_tokens": 1, "output_tokens": 2, "audio_tokens": 30, "future": { "depth_tokens": 400 },
        "cache_creation": { "ephemeral_24h_input_tokens": 5_000 }, "service_tier": "standard",
        "output_tokens_details": { "thinking_tokens": 2 }, "server_tool_use": { "web_fetch_requests": 9 },
    }));
    assert_eq!((counts.unknown, counts.usage().output_tokens), (5_430, 5_432));
}

#[test]
fn what_is_known_only_by_its_parts_counts_and_parts_of_a_total_do_not() {
    let counts = counted(&json!({
        "input_tokens": 1, "output_tokens": 2, "audio_tokens": 30,
        "audio_tokens_details": { "speech_tokens": 20 }, "input_tokens_details": { "cached_tokens": 1 },
        "video_tokens_details": { "frame_tokens": 400 },
        "iterations": [{ "input_tokens": 1, "output_tokens": 2, "depth_tokens": 5_000 }],
    }));
    assert_eq!(counts.unknown, 5_000);
    let counts = counted(&json!({
        "input_tokens": 1, "output_tokens": 2, "audio_tokens": 30,
        "audio_tokens_details": { "speech_tokens": 20 }, "video_tokens_details": { "frame_tokens": 400 },
    }));
    assert_eq!(counts.unknown, 430);
}

#[tokio::test]
async fn everything_that_a_usage_states_is_charged_or_warned_about() {
    let million = |more: Value| {
        let mut usage = json!({ "input_tokens": 1_000_000, "output_tokens": 0 });
        usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        usage
    };
    let opus = json!([{ "type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 1_000_000 }]);
    let unknown = json!([{ "model": "claude-next-9", "input_tokens": 1_000_000 }]);
    let mut late_opus = vec![json!({ "model": "claude-sonnet-4-6" }); 9];
    late_opus.push(json!({ "model": "claude-opus-4-8", "input_tokens": 1_000_000 }));
    for (usage, dollars, warned) in [
        (million(json!({ "service_tier": "standard" })), 3.0, None),
        (million(json!({ "service_tier": "batch" })), 3.0, None),
        // There is no list price for this tier, so it costs as much as the dearest known one.
        (million(json!({ "service_tier": "priority" })), 18.0, Some("service_tier")),
        (million(json!({ "service_tier": "priority", "speed": "fast" })), 18.0, Some("service_tier")),
        (million(json!({ "server_tool_use": { "web_fetch_requests": 9, "scan_requests": 0 } })), 3.0, None),
        (
            million(json!({ "server_tool_use": { "web_search_requests": 1, "scan_requests": 2 } })),
            3.03,
            Some("scan_requests"),
        ),
        (million(json!({ "iterations": [{ "depth_tokens": 100_000 }] })), 4.5, Some("depth_tokens")),
        // An answer in which several models had a part is counted at the dearest of them.
        (million(json!({ "iterations": opus })), 5.0, None),
        (million(json!({ "iterations": unknown })), 15.0, None),
        (million(json!({ "iterations": late_opus })), 5.0, None),
    ] {
        let stated = usage.clone();
        let server = Server::start(move |_, _| message("claude-sonnet-4-6", &stated)).await;
        let world = Setup::before(server.address).open();
        assert_eq!(world.ask().await.status, 200);
        let cost = world.sandbox.usage().cost.dollars();
        assert!((cost - dollars).abs() < 1e-9, "{cost} for {usage}");
        assert_eq!(world.log.count("without a known price"), usize::from(warned.is_some()), "{usage}");
        assert_eq!(
            world.log.count(warned.unwrap_or("without a known price")),
            usize::from(warned.is_some()),
            "{usage}"
        );
    }
}

#[tokio::test]
async fn the_warning_about_a_missing_price_names_the_model_that_has_none() {
    let usage = json!({
        "input_tokens": 1_000_000, "output_tokens": 0,
        "iterations": [{ "model": "claude-next-9", "input_tokens": 1_000_000 }],
    });
    let server = Server::start(move |_, _| message("claude-sonnet-4-6", &usage)).await;
    let world = Setup::before(server.address).open();
    world.ask().await;
    assert_eq!(world.log.count("this model has no price"), 1);
    assert_eq!(world.log.count("claude-next-9"), 1);
    let listed = world.gateway.prices().list();
    let assumed = listed.iter().filter(|model| model.source == PriceSource::Assumed).map(|model| model.name.as_str());
    assert_eq!(assumed.collect::<Vec<_>>(), ["claude-next-9"]);
}

#[tokio::test]
async fn an_unknown_field_passes_alone_and_is_warned_about_once() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let body = ASK.replacen('{', r#"{"thread":{"continue":"a"},"#, 1);
    for _ in 0..3 {
        assert_eq!(world.client().await.send(request("POST", "/v1/messages", &body)).await.status, 200);
    }
    assert_eq!(world.log.count("a field whose price is not known"), 1);
    assert_eq!(server.seen()[0].body, body);
}

#[tokio::test]
async fn an_unknown_kind_is_charged_and_warned_about_once() {
    let usage = json!({ "input_tokens": 0, "output_tokens": 0, "audio_tokens": 1_000 });
    let server = Server::start(move |_, _| message("claude-sonnet-4-6", &usage)).await;
    let world = Setup::before(server.address).open();
    for round in 1..=3 {
        world.ask().await;
        assert_eq!(world.sandbox.usage().cost, Cost::from_nano_dollars(round * 1_000 * 15_000));
    }
    assert_eq!(world.log.count("audio_tokens"), 1);
}

#[test]
fn what_the_answer_says_of_speed_and_region_is_priced() {
    let prices = Prices::load(None).unwrap();
    let cost = |more: Value| {
        let mut usage = json!({ "input_tokens": 1_000_000, "output_tokens": 0 });
        usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        prices.cost("claude-opus-4-8", &counted(&usage)).dollars()
    };
    let usual = json!({ "speed": "standard", "inference_geo": "global", "service_tier": "standard" });
    assert!((cost(usual) - 5.0).abs() < 1e-9);
    assert!((cost(json!({ "speed": "", "inference_geo": "", "service_tier": "" })) - 5.0).abs() < 1e-9);
    assert!((cost(json!({ "speed": "fast" })) - 30.0).abs() < 1e-9);
    assert!((cost(json!({ "inference_geo": "us" })) - 5.5).abs() < 1e-9);
    assert!((cost(json!({ "speed": "fast", "inference_geo": "us" })) - 33.0).abs() < 1e-9);
}

#[tokio::test]
async fn what_would_change_the_price_is_refused() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    for field in [
        r#""speed":"fast""#,
        r#""inference_geo":"us""#,
        r#""service_tier":"priority""#,
        r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#,
        r#""fallbacks":[{"model":"claude-opus-4-1"}]"#,
    ] {
        let body = ASK.replacen('{', &format!("{{{field},"), 1);
        let refused = world.client().await.send(request("POST", "/v1/messages", &body)).await;
        assert_eq!(refused.status, 400, "{field}");
        assert!(refused.text.contains("the price"), "{}", refused.text);
    }
    assert!(server.seen().is_empty());

    let mut ask = request("POST", "/v1/messages", ASK);
    let betas = "fast-mode-2026-02-01, compact-2026-01-12,compact-2026-09-04,context-1m-2025-08-07";
    ask.headers_mut().insert("anthropic-beta", betas.parse().unwrap());
    assert_eq!(world.client().await.send(ask).await.status, 200);
    assert_eq!(server.seen()[0].header("anthropic-beta"), Some("context-1m-2025-08-07"));
}
