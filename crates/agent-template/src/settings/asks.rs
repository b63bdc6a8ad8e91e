//! The table `[asks]` of agent.toml.

use std::ops::Range;

use domain::ask::{AskPolicy, MAX_HOLD_MS, MAX_RULES, MAX_TIMEOUT_MS, OnTimeout, Rule, Stance};
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    tools: Option<Stance>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    ask: Vec<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    questions: Option<bool>,
    plans: Option<Stance>,
    timeout_ms: Option<Spanned<i64>>,
    on_timeout: Option<OnTimeout>,
    hold_ms: Option<Spanned<i64>>,
}

/// A mistake, and its place in the file.
type Wrong = (Range<usize>, String);

/// Keys that are missing have the values of a table without keys.
pub(super) fn check(table: Table) -> Result<AskPolicy, Wrong> {
    let usual = AskPolicy::default();
    Ok(AskPolicy {
        tools: table.tools.unwrap_or(usual.tools),
        allow: rules("allow", table.allow)?,
        ask: rules("ask", table.ask)?,
        deny: rules("deny", table.deny)?,
        questions: table.questions.unwrap_or(usual.questions),
        plans: table.plans.unwrap_or(usual.plans),
        timeout_ms: within("timeout_ms", table.timeout_ms, 1..=MAX_TIMEOUT_MS)?.unwrap_or(usual.timeout_ms),
        on_timeout: table.on_timeout.unwrap_or(usual.on_timeout),
        hold_ms: within("hold_ms", table.hold_ms, 0..=MAX_HOLD_MS)?.unwrap_or(usual.hold_ms),
    })
}

fn rules(name: &str, texts: Vec<Spanned<String>>) -> Result<Vec<Rule>, Wrong> {
    if let Some(first_too_many) = texts.get(MAX_RULES) {
        return Err((first_too_many.span(), format!("asks.{name}: it must have at most {MAX_RULES} rules")));
    }
    let parse = |text: Spanned<String>| {
        let parsed = text.get_ref().parse();
        parsed.map_err(|error| (text.span(), format!("asks.{name}: {:?}: {error}", text.get_ref())))
    };
    texts.into_iter().map(parse).collect()
}

fn within(
    name: &str,
    value: Option<Spanned<i64>>,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Wrong> {
    let Some(value) = value else { return Ok(None) };
    let number = u64::try_from(*value.get_ref()).ok().filter(|number| allowed.contains(number));
    let reason = || (value.span(), format!("asks.{name}: it must be from {} to {}", allowed.start(), allowed.end()));
    number.map(Some).ok_or_else(reason)
}
