//! The `usage` of the Messages API's answers.

use domain::usage::Usage;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Tokens of one answer, split as they are priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenCounts {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) cache_read: u64,
    pub(super) web_searches: u64,
    /// Tokens of unknown kinds. They cost as much as output, which is the most expensive kind.
    pub(super) unknown: u64,
    /// The answer was made in fast mode, or at another non-standard speed.
    pub(super) fast: bool,
    /// The answer was made in one region, which costs a surcharge.
    pub(super) regional: bool,
    /// The answer was made in a service tier that is not known to cost the list price.
    pub(super) priority: bool,
}

impl TokenCounts {
    /// All tokens of the prompt, which decide whether it counts as a long one.
    pub(super) fn prompt(&self) -> u64 {
        [self.cache_write_5m, self.cache_write_1h, self.cache_read].iter().fold(self.input, |a, b| a.saturating_add(*b))
    }

    /// Applies a later statement of the same answer. Its figures are cumulative, and any may be missing. No figure decreases, so
    /// that the meter never runs backwards.
    pub(super) fn update(&mut self, stated: &StatedUsage) {
        self.raise(&stated.own(self.cache_write_1h));
        // The totals do not include some iterations (the API's documentation, "Compaction").
        let iterations = stated.iterations.iter().flatten().map(|iteration| iteration.own(0));
        self.raise(&iterations.fold(TokenCounts::default(), TokenCounts::plus));
    }

    /// Raises each figure to that of `other`, if it is lower.
    pub(super) fn raise(&mut self, other: &TokenCounts) {
        *self = TokenCounts {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            cache_read: self.cache_read.max(other.cache_read),
            web_searches: self.web_searches.max(other.web_searches),
            unknown: self.unknown.max(other.unknown),
            fast: self.fast || other.fast,
            regional: self.regional || other.regional,
            priority: self.priority || other.priority,
        };
    }

    fn plus(self, other: TokenCounts) -> TokenCounts {
        TokenCounts {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_write_5m: self.cache_write_5m + other.cache_write_5m,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            cache_read: self.cache_read + other.cache_read,
            web_searches: self.web_searches + other.web_searches,
            unknown: self.unknown + other.unknown,
            fast: self.fast || other.fast,
            regional: self.regional || other.regional,
            priority: self.priority || other.priority,
        }
    }

    /// Converts the counts to the usage of our API, as one answered request.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input,
            output_tokens: self.output.saturating_add(self.unknown),
            cache_creation_input_tokens: self.cache_write_5m.saturating_add(self.cache_write_1h),
            cache_read_input_tokens: self.cache_read,
            requests: 1,
        }
    }
}

/// No answer has more tokens: a larger figure is invalid and must not overflow the sums.
const MAX_TOKENS: u64 = 1 << 32;

/// The `usage` object of the API: complete in a JSON answer and in `message_start`, partial in `message_delta`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StatedUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    server_tool_use: Option<ServerToolUse>,
    /// The usage of each sampling, if the answer took several.
    iterations: Option<Vec<StatedUsage>>,
    speed: Option<String>,
    inference_geo: Option<String>,
    service_tier: Option<Value>,
    /// The model of an iteration, if it is another one than the answer's.
    model: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl StatedUsage {
    /// Returns true if prompt and answer are both counted, as in every complete statement of the API.
    pub(super) fn is_whole(&self) -> bool {
        self.input_tokens.is_some() && self.output_tokens.is_some()
    }

    /// Returns true if the answer's output is counted. Every answer has some.
    pub(super) fn counts_output(&self) -> bool {
        self.output_tokens.is_some_and(|tokens| tokens > 0)
    }

    /// Returns the fields that count something and that this version does not know.
    pub(super) fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(self).chain(self.iterations.iter().flatten());
        all.flat_map(|stated| {
            let tier = stated.is_priority().then_some("service_tier");
            let requests = stated.unknown_requests().map(|(field, _)| field);
            stated.unknown().map(|(field, _)| field).chain(requests).chain(tier)
        })
    }

    /// The models that answered besides the one that the answer names.
    pub(super) fn other_models(&self) -> impl Iterator<Item = &str> {
        self.iterations.iter().flatten().filter_map(|iteration| iteration.model.as_ref()?.as_str())
    }

    /// Returns the figures stated here, without the iterations. `written_1h` are the tokens that an earlier statement of the same
    /// answer explained.
    fn own(&self, written_1h: u64) -> TokenCounts {
        let count = |stated: Option<u64>| stated.unwrap_or(0).min(MAX_TOKENS);
        let split = self.cache_creation.as_ref();
        let cache_write_1h = count(split.and_then(|split| split.ephemeral_1h_input_tokens));
        let cache_write_5m = count(split.and_then(|split| split.ephemeral_5m_input_tokens));
        // Tokens that the split does not explain were written with the default lifetime.
        let unexplained = count(self.cache_creation_input_tokens).saturating_sub(cache_write_1h.max(written_1h));
        TokenCounts {
            input: count(self.input_tokens),
            output: count(self.output_tokens),
            cache_write_5m: cache_write_5m.max(unexplained),
            cache_write_1h,
            cache_read: count(self.cache_read_input_tokens),
            // Uses of an unknown tool cost as much as searches, which are the only ones with a price.
            web_searches: self
                .unknown_requests()
                .fold(count(self.searches()), |sum, (_, requests)| sum + count(Some(requests)))
                .min(MAX_TOKENS),
            unknown: self.unknown().fold(0, |sum, (_, tokens)| sum + count(Some(tokens))).min(MAX_TOKENS),
            fast: self.speed.as_deref().is_some_and(|speed| !matches!(speed, "" | "standard")),
            regional: self.inference_geo.as_deref().is_some_and(|geo| !matches!(geo, "" | "global" | "not_available")),
            priority: self.is_priority(),
        }
    }

    fn searches(&self) -> Option<u64> {
        self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests)
    }

    fn is_priority(&self) -> bool {
        // A batch costs less.
        let tier = self.service_tier.as_ref().filter(|tier| !tier.is_null());
        tier.is_some_and(|tier| !matches!(tier.as_str(), Some("" | "standard" | "batch")))
    }

    /// Uses of tools at the API whose price is not known. A fetch has none but its tokens (the API's documentation, "Web fetch tool").
    fn unknown_requests(&self) -> impl Iterator<Item = (&str, u64)> {
        let tools = self.server_tool_use.iter().flat_map(|tools| &tools.others);
        tools.filter_map(|(field, value)| {
            let requests = value.as_u64().filter(|requests| *requests > 0)?;
            (field.ends_with("_requests") && field != "web_fetch_requests").then_some((field.as_str(), requests))
        })
    }

    fn unknown(&self) -> impl Iterator<Item = (&str, u64)> {
        let cache = self.cache_creation.as_ref().map(|split| &split.others);
        let tools = self.server_tool_use.as_ref().map(|tools| &tools.others);
        let mut found = Vec::new();
        find_tokens(&self.others, &mut found);
        cache.into_iter().chain(tools).for_each(|fields| find_tokens(fields, &mut found));
        found.into_iter()
    }
}

/// The totals that each answer states, in one statement or another.
const TOTALS: [&str; 4] = ["cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens", "output_tokens"];

/// Collects numbers in fields whose name contains "token", at any depth. `…_details` only split up a number beside them, if there is
/// one.
fn find_tokens<'a>(fields: &'a Map<String, Value>, found: &mut Vec<(&'a str, u64)>) {
    for (field, value) in fields {
        let total = field.strip_suffix("_details").unwrap_or_default();
        if TOTALS.contains(&total) || fields.get(total).is_some_and(Value::is_number) {
            continue;
        }
        find_in(field, value, found);
    }
}

fn find_in<'a>(field: &'a str, value: &'a Value, found: &mut Vec<(&'a str, u64)>) {
    match value {
        Value::Number(number) if field.contains("token") => {
            found.extend(number.as_u64().filter(|tokens| *tokens > 0).map(|tokens| (field, tokens)));
        }
        Value::Object(fields) => find_tokens(fields, found),
        Value::Array(values) => values.iter().for_each(|value| find_in(field, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
