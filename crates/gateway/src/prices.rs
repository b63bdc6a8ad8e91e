//! The prices of models' tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use domain::plain::of_serde;
use domain::usage::Cost;
use serde::Deserialize;

use super::tokens::TokenCounts;

/// The known public list prices, with the operator's changes.
#[derive(Debug)]
pub struct Prices {
    models: BTreeMap<String, ModelPrice>,
    aliases: BTreeSet<String>,
    web_search_nanos: u64,
    fast_mode: Factor,
    data_residency: Factor,
    /// Models and fields with a warning in the log, so that each is logged once.
    unknown: Mutex<BTreeSet<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error("could not read the price file {path} (MODEL_PRICES)")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the price table {from} (MODEL_PRICES) is malformed: {reason}")]
    Parse { from: String, reason: String },
    #[error("the price table {from} (MODEL_PRICES) gives `{model}` a price that is not a positive number")]
    Value { from: String, model: String },
    #[error("the price table {from} (MODEL_PRICES) has a factor that is not a number from 1 to 1000")]
    Factor { from: String },
    #[error("there is no price for any model")]
    Empty,
}

impl Prices {
    /// The number of unknown models that are remembered, so that each is warned about once.
    const MAX_UNKNOWN: usize = 64;

    /// Loads the built-in table with the additions and changes of `path` (`MODEL_PRICES`, of the same shape).
    pub fn load(path: Option<&Path>) -> Result<Prices, PricesError> {
        let mut prices = Prices {
            models: BTreeMap::new(),
            aliases: BTreeSet::new(),
            web_search_nanos: 0,
            fast_mode: Factor::ONE,
            data_residency: Factor::ONE,
            unknown: Mutex::default(),
        };
        prices.extend("built in", include_str!("prices.json"))?;
        if let Some(path) = path {
            let text =
                std::fs::read_to_string(path).map_err(|source| PricesError::Read { path: path.to_owned(), source })?;
            prices.extend(&path.display().to_string(), &text)?;
        }
        if prices.models.is_empty() { Err(PricesError::Empty) } else { Ok(prices) }
    }

    /// Returns true if the CLI accepts `model`: a model with a price, with or without its date and a suffix like `[1m]`, or one of
    /// the CLI's short names.
    pub fn knows(&self, model: &str) -> bool {
        self.find(model).is_some() || self.aliases.contains(without_suffix(model))
    }

    /// All names with a price, and the CLI's short names, sorted.
    pub fn models(&self) -> Vec<String> {
        self.models.keys().chain(&self.aliases).cloned().collect()
    }

    /// Returns the cost of one answer. A model without a price costs as much as the most expensive one.
    pub(super) fn cost(&self, model: &str, counts: &TokenCounts) -> Cost {
        let rates = self.rates(without_fast(model), counts.prompt());
        let parts = [
            (counts.input, rates.input),
            (counts.output, rates.output),
            (counts.cache_write_5m, rates.cache_write_5m),
            (counts.cache_write_1h, rates.cache_write_1h),
            (counts.cache_read, rates.cache_read),
            (counts.unknown, rates.output),
        ];
        let mut nanos = parts.iter().fold(0_u64, |sum, (n, rate)| sum.saturating_add(n.saturating_mul(*rate)));
        if counts.fast || without_fast(model) != model {
            nanos = self.fast_mode.of(nanos);
        }
        if counts.regional {
            nanos = self.data_residency.of(nanos);
        }
        let searches = counts.web_searches.saturating_mul(self.web_search_nanos);
        Cost::from_nano_dollars(nanos.saturating_add(searches))
    }

    /// Logs, once for each field, that the API counts tokens of a kind without a known price.
    pub(super) fn warn_of_field(&self, field: &str) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() < Self::MAX_UNKNOWN && unknown.insert(format!("usage.{field}")) {
            tracing::warn!(
                field,
                "the model API counts tokens of a kind without a known price: they are counted as output"
            );
        }
    }

    fn rates(&self, model: &str, prompt_tokens: u64) -> Rates {
        let price = self.find(model).unwrap_or_else(|| {
            self.warn_once(model);
            self.dearest()
        });
        price.long_prompt.filter(|(above, _)| prompt_tokens > *above).map_or(price.rates, |(_, rates)| rates)
    }

    /// The name under which a model has its price.
    pub(super) fn name_of(&self, model: &str) -> Option<&str> {
        self.entry(model).map(|(name, _)| name.as_str())
    }

    fn find(&self, model: &str) -> Option<ModelPrice> {
        self.entry(model).map(|(_, price)| *price)
    }

    fn entry(&self, model: &str) -> Option<(&String, &ModelPrice)> {
        let base = without_suffix(model);
        self.models.get_key_value(base).or_else(|| self.models.get_key_value(without_date(base)))
    }

    fn dearest(&self) -> ModelPrice {
        // `load` refuses an empty table, so the default is never used.
        self.models.values().copied().max_by_key(|price| (price.rates.output, price.rates.input)).unwrap_or_default()
    }

    fn warn_once(&self, model: &str) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.len() < Self::MAX_UNKNOWN && unknown.insert(model.to_owned()) {
            tracing::warn!(model, "this model has no price: it is counted as the most expensive one; see MODEL_PRICES");
        }
    }

    fn extend(&mut self, from: &str, text: &str) -> Result<(), PricesError> {
        let table: Table = serde_json::from_str(text).map_err(|error| PricesError::Parse {
            from: from.to_owned(),
            reason: of_serde("field", &error.to_string()),
        })?;
        for (model, entry) in table.models {
            let price =
                entry.price().ok_or_else(|| PricesError::Value { from: from.to_owned(), model: model.clone() })?;
            self.models.insert(model, price);
        }
        self.aliases.extend(table.aliases);
        if let Some(dollars) = table.web_search {
            self.web_search_nanos = Cost::from_dollars(dollars).nano_dollars();
        }
        for (factor, given) in
            [(&mut self.fast_mode, table.fast_mode), (&mut self.data_residency, table.data_residency)]
        {
            if let Some(given) = given {
                *factor = Factor::from_number(given).ok_or_else(|| PricesError::Factor { from: from.to_owned() })?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ModelPrice {
    rates: Rates,
    /// Other prices for all tokens of a request whose prompt has more tokens than this.
    long_prompt: Option<(u64, Rates)>,
}

/// A surcharge on the prices of all tokens, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Factor(u64);

impl Factor {
    const ONE: Factor = Factor(1000);

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1,000 and 1,000,000")]
    fn from_number(number: f64) -> Option<Factor> {
        (1.0..=1000.0).contains(&number).then(|| Factor((number * 1000.0).ceil() as u64))
    }

    fn of(self, nanos: u64) -> u64 {
        u64::try_from(u128::from(nanos) * u128::from(self.0) / 1000).unwrap_or(u64::MAX)
    }
}

/// Nano-dollars per token.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    input: u64,
    output: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    cache_read: u64,
}

/// The file's shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The source of the numbers, for people.
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default, rename = "surcharge_source")]
    _surcharge_source: Option<String>,
    #[serde(default)]
    models: BTreeMap<String, ListedRates>,
    #[serde(default)]
    aliases: Vec<String>,
    /// Dollars for one web search that the API made.
    web_search: Option<f64>,
    /// The factor on the price of tokens in fast mode.
    fast_mode: Option<f64>,
    /// The factor on the price of tokens that are processed in one region.
    data_residency: Option<f64>,
}

/// Dollars per million tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedRates {
    input: f64,
    output: f64,
    cache_write_5m: Option<f64>,
    cache_write_1h: Option<f64>,
    cache_read: Option<f64>,
    long_prompt: Option<Box<LongPrompt>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPrompt {
    above_tokens: u64,
    rates: ListedRates,
}

impl ListedRates {
    fn price(&self) -> Option<ModelPrice> {
        let long_prompt = match &self.long_prompt {
            Some(long) => Some((long.above_tokens, long.rates.nanos()?)),
            None => None,
        };
        Some(ModelPrice { rates: self.nanos()?, long_prompt })
    }

    fn nanos(&self) -> Option<Rates> {
        Some(Rates {
            input: nanos_per_token(self.input)?,
            output: nanos_per_token(self.output)?,
            cache_write_5m: nanos_per_token(self.cache_write_5m.unwrap_or(self.input * 1.25))?,
            cache_write_1h: nanos_per_token(self.cache_write_1h.unwrap_or(self.input * 2.0))?,
            cache_read: nanos_per_token(self.cache_read.unwrap_or(self.input * 0.1))?,
        })
    }
}

fn nanos_per_token(dollars_per_million: f64) -> Option<u64> {
    let valid = dollars_per_million.is_finite() && dollars_per_million >= 0.0;
    valid.then(|| Cost::from_dollars(dollars_per_million / 1e6).nano_dollars())
}

/// Returns true if a list entry `listed` covers `model`: with or without date and suffix. One of the CLI's short names covers its
/// whole family.
pub(crate) fn is_same_model(model: &str, listed: &str) -> bool {
    let (model, listed) = (without_suffix(model), without_suffix(listed));
    model == listed || without_date(model) == listed || (!listed.contains('-') && of_family(model, listed))
}

fn of_family(model: &str, family: &str) -> bool {
    const FAMILIES: [&str; 5] = ["fable", "mythos", "opus", "sonnet", "haiku"];
    FAMILIES.contains(&family) && model.split('-').any(|part| part == family)
}

/// Removes the suffix of platforms with separate models for fast mode: `claude-opus-4-8-fast` → `claude-opus-4-8`
fn without_fast(model: &str) -> &str {
    model.strip_suffix("-fast").unwrap_or(model)
}

/// Removes a suffix: `claude-sonnet-4-6[1m]` → `claude-sonnet-4-6`
fn without_suffix(model: &str) -> &str {
    match model.split_once('[') {
        Some((base, rest)) if rest.ends_with(']') => base,
        _ => model,
    }
}

/// Removes the last part of `claude-sonnet-4-5-20250929` and `claude-3-5-haiku-latest`
fn without_date(model: &str) -> &str {
    match model.rsplit_once('-') {
        Some((base, last)) if last == "latest" || last.len() == 8 && last.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => model,
    }
}
