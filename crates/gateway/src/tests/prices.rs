//! The price table.

use std::collections::BTreeMap;

use domain::usage::Cost;
use jiff::Timestamp;

use crate::prices::Named;
use crate::tokens::TokenCounts;
use crate::{PriceChanges, PriceSource, Prices, PricesError};

fn million(set: impl Fn(&mut TokenCounts)) -> TokenCounts {
    let mut counts = TokenCounts::default();
    set(&mut counts);
    counts
}

#[test]
fn the_default_model_costs_what_the_list_says() {
    let prices = Prices::load(None).unwrap();
    let dollars = |counts: TokenCounts| prices.cost("claude-sonnet-4-6", &counts).dollars();
    let exactly = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
    exactly(dollars(million(|counts| counts.input = 1_000_000)), 3.0);
    exactly(dollars(million(|counts| counts.output = 1_000_000)), 15.0);
    exactly(dollars(million(|counts| counts.cache_write_5m = 1_000_000)), 3.75);
    exactly(dollars(million(|counts| counts.cache_write_1h = 1_000_000)), 6.0);
    exactly(dollars(million(|counts| counts.cache_read = 1_000_000)), 0.3);
}

#[test]
fn another_spelling_is_no_other_model() {
    let prices = Prices::load(None).unwrap();
    for known in [
        "claude-sonnet-4-6",
        "claude-sonnet-4-6[1m]",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-5-20250929[1m]",
        "claude-sonnet-4-20250514",
        "claude-3-5-haiku-20241022",
        "claude-3-7-sonnet-latest",
        "claude-haiku-4-5",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/anthropic.claude-opus-4-6-v1:0",
        "claude-haiku-4-5@20251001",
        "vertex_ai/claude-opus-5-5",
        "openrouter/anthropic/claude-sonnet-4.5",
        "claude-opus-4-8-fast",
    ] {
        assert!(prices.has_price(known), "{known}");
    }
    for unknown in
        ["", "gpt-4", "claude", "claude-sonnet-4-6-1", "claude-sonnet-4-6-2025092", "Sonnet", "sonnet", "[1m]"]
    {
        assert!(!prices.has_price(unknown), "{unknown}");
    }
    let counts = million(|counts| counts.output = 1_000_000);
    let cost = |model| prices.cost(model, &counts);
    assert_eq!(cost("global.anthropic.claude-haiku-4-5-20251001-v1:0"), cost("claude-haiku-4-5"));
    assert_eq!(cost("us.anthropic.claude-haiku-4-5-20251001-v1:0"), Cost::from_dollars(5.5));
    assert_eq!(cost("claude-haiku-4-5@20251001"), Cost::from_dollars(5.0));
}

/// For each kind of token and each length of a prompt, because a budget must hold for every model.
#[test]
fn an_unknown_model_costs_as_much_as_the_dearest() {
    let prices = Prices::load(None).unwrap();
    let kinds: [fn(&mut TokenCounts, u64); 5] = [
        |counts, n| counts.input = n,
        |counts, n| counts.output = n,
        |counts, n| counts.cache_write_5m = n,
        |counts, n| counts.cache_write_1h = n,
        |counts, n| counts.cache_read = n,
    ];
    for (number, set) in kinds.iter().enumerate() {
        for n in [1000, 1_000_000] {
            let counts = million(|counts| set(counts, n));
            let dearest = prices.list().iter().map(|model| prices.cost(&model.name, &counts)).max();
            assert_eq!(Some(prices.cost("claude-next-9", &counts)), dearest, "{number} {n}");
        }
    }
}

#[test]
fn the_model_of_the_request_decides_unless_the_answer_names_a_dearer_one() {
    let prices = Prices::load(None).unwrap();
    let counts = million(|counts| counts.output = 1_000_000);
    let priced = |requested, answered| {
        let priced = prices.price(Named { requested, answered, others: &[] }, &counts);
        (priced.cost.dollars(), priced.name.map(|name| name.to_string()))
    };
    let sonnet = (15.0, Some("claude-sonnet-4-6".to_owned()));
    assert_eq!(priced("claude-sonnet-4-6", None), sonnet);
    for answered in ["claude-sonnet-4-6", "claude-sonnet-4-6-20260101", "a name of a gateway", "", "claude-haiku-4-5"] {
        assert_eq!(priced("claude-sonnet-4-6", Some(answered)), sonnet, "{answered}");
    }
    assert_eq!(priced("claude-sonnet-4-6", Some("claude-opus-4-6")), (25.0, Some("claude-opus-4-6".to_owned())));
    // A name that only the gateway knows
    assert_eq!(priced("our-model", Some("claude-sonnet-4-6")), sonnet);
    assert_eq!(priced("our-model", Some("their-model")), (75.0, None));
    assert_eq!(priced("our-model-fast", None), (450.0, None));
}

#[test]
fn a_long_prompt_has_its_own_price() {
    let prices = Prices::load(None).unwrap();
    let cost =
        |cache_read| prices.cost("claude-haiku-5-5", &TokenCounts { input: 1, cache_read, ..Default::default() });
    assert_eq!(cost(99_999), Cost::from_nano_dollars(100 + 99_999 * 10));
    assert_eq!(cost(100_000), Cost::from_nano_dollars(500 + 100_000 * 50));
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.json");
    std::fs::write(&path, "\u{feff}{\"models\":{\"claude-next-9\":{\"input\":1,\"output\":2}}}").unwrap();
    assert!(Prices::load(Some(&path)).unwrap().has_price("claude-next-9"));
}

#[test]
fn a_file_changes_and_adds_prices() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.json");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Prices::load(Some(&path))
    };
    let prices =
        load(r#"{"aliases":["x"],"models":{"claude-next-9":{"input":1,"output":2},"claude-sonnet-4-6":{"input":0,"output":0}}}"#)
            .unwrap();
    let counts = million(|counts| counts.output = 1_000_000);
    assert_eq!(prices.cost("claude-next-9", &counts), Cost::from_dollars(2.0));
    assert_eq!(prices.cost("claude-sonnet-4-6", &counts), Cost::ZERO);
    assert_eq!(prices.cost("us.anthropic.claude-sonnet-4-6", &counts), Cost::ZERO);
    assert!(prices.has_price("claude-opus-4-6"));
    let listed = prices.list();
    let sources: Vec<_> = listed.iter().filter(|model| model.source == PriceSource::File).collect();
    assert_eq!(
        sources.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(),
        ["claude-next-9", "claude-sonnet-4-6"]
    );
    assert!(sources.iter().all(|model| model.since.is_some()), "the time of the file");

    for (text, field) in [
        (r#"{"models":{"m":{"input":-1,"output":2}}}"#, "`models.m.input` must be"),
        (r#"{"models":{"m":{"input":1,"output":1e9}}}"#, "`models.m.output` must be"),
        (r#"{"models":{"m":{"input":1}}}"#, "`models.m`: output is missing"),
        (r#"{"models":{"m":{"input":1,"output":2,"inptu":3}}}"#, "did you mean input?"),
        (r#"{"models":{"m":{"input":"1","output":2}}}"#, "`models.m`: it must be a number"),
        (r#"{"models":{"a b":{"input":1,"output":2}}}"#, "a b"),
        (r#"{"modles":{}}"#, "did you mean models?"),
        (r#"{"fast_mode":0}"#, "`fast_mode`"),
        (r#"{"web_search":-1}"#, "`web_search`"),
        (r#"{"since":"soon"}"#, "year"),
    ] {
        let error = domain::error_chain(&load(text).unwrap_err());
        assert!(error.contains(field), "{text}: {error}");
    }
    assert!(matches!(Prices::load(Some(&directory.path().join("none"))), Err(PricesError::Read { .. })));
}

fn fetched(prices: &Prices, models: &str) -> PriceChanges {
    let text = format!(r#"{{"models":{{{models}}}}}"#);
    prices.set_fetched(&text, Timestamp::UNIX_EPOCH, &BTreeMap::new()).unwrap()
}

#[test]
fn a_fetched_table_adds_and_raises_and_never_lowers() {
    let prices = Prices::load(None).unwrap();
    let long = |n| million(|counts| counts.input = n);
    let before: Vec<_> = prices.list().into_iter().map(|model| model.name).collect();
    let costs = |n| before.iter().map(|name| prices.cost(name, &long(n))).collect::<Vec<_>>();
    let (short_before, long_before) = (costs(1000), costs(900_000));
    // Lower prices under every spelling, and thresholds that would make the higher rates begin later.
    let spelled = ["claude-opus-4-6", "us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-haiku-4-5@20251001"];
    let mut models: Vec<String> =
        spelled.iter().map(|name| format!(r#""{name}":{{"input":0.01,"output":0.01}}"#)).collect();
    models.push(
        r#""claude-sonnet-4-5":{"input":3,"output":15,"long_prompt":{"above_tokens":900000,"rates":{"input":6,"output":22.5}}}"#.to_owned(),
    );
    models.push(r#""claude-haiku-5-5":{"input":0.1,"output":0.5}"#.to_owned());
    models.push(r#""claude-sonnet-4-6":{"input":4,"output":1}"#.to_owned());
    models.push(r#""claude-next-9":{"input":1,"output":2,"context":5000}"#.to_owned());
    let changes = fetched(&prices, &models.join(","));
    assert_eq!(changes.models, 7);
    let mut lower = spelled.to_vec();
    lower.extend(["claude-sonnet-4-5", "claude-haiku-5-5", "claude-sonnet-4-6"]);
    lower.sort_unstable();
    assert_eq!(changes.lower, lower);

    assert!(short_before.iter().zip(costs(1000)).all(|(before, now)| *before <= now));
    assert!(long_before.iter().zip(costs(900_000)).all(|(before, now)| *before <= now));
    let counts = million(|counts| counts.output = 1_000_000);
    for (name, dollars) in [
        ("claude-opus-4-6", 25.0),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", 27.5),
        ("claude-haiku-4-5@20251001", 5.0),
        ("claude-sonnet-4-6", 15.0),
        ("claude-next-9", 2.0),
        ("eu.anthropic.claude-next-9-v1:0", 2.2),
    ] {
        assert_eq!(prices.cost(name, &counts), Cost::from_dollars(dollars), "{name}");
    }
    assert_eq!(prices.cost("claude-sonnet-4-6", &long(1_000_000)), Cost::from_dollars(4.0));
    let listed = prices.list();
    let of = |name: &str| listed.iter().find(|model| model.name == name).unwrap();
    assert_eq!((of("claude-next-9").source, of("claude-next-9").context), (PriceSource::Url, Some(5000)));
    assert_eq!(of("claude-sonnet-4-6").source, PriceSource::Url);
    assert_eq!(of("claude-opus-4-6").source, PriceSource::BuiltIn);

    // The next table replaces this one.
    let changes = fetched(&prices, r#""claude-next-10":{"input":1,"output":2}"#);
    assert_eq!((changes.changed.len(), changes.lower.len()), (2, 0), "{changes:?}");
    assert!(!prices.has_price("claude-next-9") && prices.has_price("claude-next-10"));
    assert_eq!(prices.cost("claude-sonnet-4-6", &long(1_000_000)), Cost::from_dollars(3.0));
}

#[test]
fn the_operators_file_wins_over_a_fetched_table() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let models = r#""claude-opus-4-6":{"input":1,"output":2},"eu.anthropic.claude-opus-4-6":{"input":1,"output":3}"#;
    std::fs::write(file.path(), format!(r#"{{"models":{{{models}}},"web_search":0}}"#)).unwrap();
    let prices = Prices::load(Some(file.path())).unwrap();
    fetched(
        &prices,
        r#""claude-opus-4-6":{"input":50,"output":90},"us.anthropic.claude-opus-4-6":{"input":50,"output":90}"#,
    );
    let counts = million(|counts| counts.output = 1_000_000);
    // The operator's price for a regional name is the price; that of the model is raised by the surcharge.
    for (name, dollars) in
        [("claude-opus-4-6", 2.0), ("us.anthropic.claude-opus-4-6", 2.2), ("eu.anthropic.claude-opus-4-6", 3.0)]
    {
        assert_eq!(prices.cost(name, &counts), Cost::from_dollars(dollars), "{name}");
    }
    // The dearest known price is the fetched one.
    assert_eq!(prices.cost("unknown", &counts), Cost::from_dollars(90.0));
}

#[test]
fn a_damaged_table_changes_nothing() {
    let prices = Prices::load(None).unwrap();
    fetched(&prices, r#""claude-next-9":{"input":1,"output":2}"#);
    for (text, field) in [
        ("", "EOF"),
        ("<html>", "expected value"),
        ("{}", "`models` is missing or empty"),
        (r#"{"models":{}}"#, "`models` is missing or empty"),
        (r#"{"models":{"claude-next-9":{"input":1,"output":0}}}"#, "`models.claude-next-9.output` must be"),
        (r#"{"models":{"claude-next-9":{"input":1,"output":2,"cache_read":-1}}}"#, "`models.claude-next-9.cache_read`"),
        (r#"{"models":{"--model":{"input":1,"output":2}}}"#, "--model"),
    ] {
        let error = prices.set_fetched(text, Timestamp::UNIX_EPOCH, &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains(field), "{text}: {error}");
        assert!(prices.has_price("claude-next-9"));
    }
}
