//! The price table.

use domain::usage::Cost;

use crate::prices::is_asked_model;
use crate::tokens::TokenCounts;
use crate::{Prices, PricesError};

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
fn dates_and_suffixes_are_no_other_model() {
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
        "sonnet",
        "opus[1m]",
        "haiku",
    ] {
        assert!(prices.knows(known), "{known}");
    }
    for unknown in ["", "gpt-4", "claude", "claude-sonnet-4-6-1", "claude-sonnet-4-6-2025092", "Sonnet", "[1m]"] {
        assert!(!prices.knows(unknown), "{unknown}");
    }
    let names = prices.models();
    assert!(names.contains(&"claude-opus-4-6".to_owned()) && names.contains(&"sonnet".to_owned()));
}

#[test]
fn an_unknown_model_costs_as_much_as_the_dearest() {
    let prices = Prices::load(None).unwrap();
    let counts = million(|counts| counts.output = 1_000_000);
    let dearest =
        prices.models().iter().filter(|model| model.starts_with("claude")).map(|m| prices.cost(m, &counts)).max();
    assert_eq!(Some(prices.cost("claude-next-9", &counts)), dearest);
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
fn a_file_changes_and_adds_prices() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.json");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Prices::load(Some(&path))
    };
    let prices =
        load(r#"{"models":{"claude-next-9":{"input":1,"output":2},"claude-sonnet-4-6":{"input":0,"output":0}}}"#)
            .unwrap();
    let counts = million(|counts| counts.output = 1_000_000);
    assert_eq!(prices.cost("claude-next-9", &counts), Cost::from_dollars(2.0));
    assert_eq!(prices.cost("claude-sonnet-4-6", &counts), Cost::ZERO);
    assert!(prices.knows("claude-opus-4-6"));

    assert!(matches!(load(r#"{"models":{"m":{"input":-1,"output":2}}}"#), Err(PricesError::Value { .. })));
    assert!(matches!(load(r#"{"models":{"m":{"input":1}}}"#), Err(PricesError::Parse { .. })));
    assert!(matches!(load(r#"{"modles":{}}"#), Err(PricesError::Parse { .. })));
    assert!(matches!(Prices::load(Some(&directory.path().join("none"))), Err(PricesError::Read { .. })));
}

#[test]
fn a_request_has_the_model_that_was_asked_for() {
    for (asked, sent) in [
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-opus-4-6[1m]", "claude-opus-4-6"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-6-v1:0", "us.anthropic.claude-opus-4-6-v1:0"),
        ("sonnet", "claude-sonnet-5-5"),
        ("sonnet[1m]", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("Opus", "claude-opus-5-5"),
        ("haiku", "a-model-of-the-gateway"),
        ("opusplan", "claude-sonnet-5-5"),
        ("default", "claude-fable-5-2"),
    ] {
        assert!(is_asked_model(sent, asked), "{sent} for {asked}");
    }
    for (asked, sent) in [
        ("claude-opus-4-6", "claude-sonnet-4-6"),
        ("claude-opus-4-6", "claude-opus-4-8"),
        ("claude-opus-4", "claude-opus-4-6"),
        ("sonnet", "claude-haiku-5-5"),
        ("haiku", "vertex/claude-opus-5-5"),
        ("opusplan", "claude-haiku-5-5"),
    ] {
        assert!(!is_asked_model(sent, asked), "{sent} for {asked}");
    }
}
