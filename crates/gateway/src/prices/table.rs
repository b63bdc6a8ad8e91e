//! The file of prices: its shape, and the checks of its content.

use std::collections::BTreeMap;

use domain::model::{InvalidModelName, check_model_name};
use domain::plain::of_serde;
use domain::usage::Cost;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The maximum number of models in one table. The public lists of all vendors have fewer.
const MAX_MODELS: usize = 5000;

/// Dollars per million tokens. No model costs a hundredth of it.
const MAX_DOLLARS: f64 = 100_000.0;

/// The error of a table. It names the field.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{0}")]
    Json(String),
    #[error("`models.{model}`: {problem}")]
    Model { model: String, problem: String },
    #[error("`models.{model}.{field}` must be {expected}")]
    Price { model: String, field: &'static str, expected: String },
    #[error("`models` has the name {model:?}: {problem}")]
    Name { model: String, problem: InvalidModelName },
    #[error("`{0}` must be a number from 1 to 1000")]
    Factor(&'static str),
    #[error("`web_search` must be a number of dollars from 0 to 1000")]
    WebSearch,
    #[error("`models` has {0} entries; it may have {MAX_MODELS}")]
    TooMany(usize),
    #[error("`models` is missing or empty")]
    Empty,
}

/// The lowest price that a table may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lowest {
    /// A model can be free if the operator sets that price.
    Zero,
    /// A price of zero is taken for a mistake.
    AboveZero,
}

/// A checked table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) since: Option<Date>,
    pub(super) models: BTreeMap<String, ModelPrice>,
    pub(super) web_search_nanos: Option<u64>,
    pub(super) fast_mode: Option<Factor>,
    pub(super) priority_tier: Option<Factor>,
    pub(super) data_residency: Option<Factor>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelPrice {
    pub(super) rates: Rates,
    /// Other prices for all tokens of a request whose prompt has more tokens than this.
    pub(super) long_prompt: Option<(u64, Rates)>,
    /// The context window, in tokens.
    pub(super) context: Option<u64>,
}

/// Nano-dollars per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) cache_read: u64,
}

/// A surcharge on the prices of all tokens, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Factor(u64);

impl Table {
    pub(super) fn parse(text: &str, lowest: Lowest) -> Result<Table, TableError> {
        // Editors on Windows write a byte order mark.
        let file: File<'_> = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| TableError::Json(of_serde("field", &error.to_string())))?;
        if file.models.len() > MAX_MODELS {
            return Err(TableError::TooMany(file.models.len()));
        }
        let mut models = BTreeMap::new();
        for (model, listed) in file.models {
            check_model_name(&model).map_err(|problem| TableError::Name { model: model.clone(), problem })?;
            let listed: ListedModel = serde_json::from_str(listed.get()).map_err(|error| TableError::Model {
                model: model.clone(),
                problem: of_serde("field", &error.to_string()),
            })?;
            let price = listed.price(lowest).map_err(|(field, expected)| TableError::Price {
                model: model.clone(),
                field,
                expected,
            })?;
            models.insert(model, price);
        }
        let web_search = file.web_search.map(|dollars| match dollars {
            0.0..=1000.0 => Ok(Cost::from_dollars(dollars).nano_dollars()),
            _ => Err(TableError::WebSearch),
        });
        Ok(Table {
            since: file.since,
            models,
            web_search_nanos: web_search.transpose()?,
            fast_mode: factor("fast_mode", file.fast_mode)?,
            priority_tier: factor("priority_tier", file.priority_tier)?,
            data_residency: factor("data_residency", file.data_residency)?,
        })
    }
}

fn factor(field: &'static str, given: Option<f64>) -> Result<Option<Factor>, TableError> {
    given.map(|given| Factor::from_number(given).ok_or(TableError::Factor(field))).transpose()
}

impl ModelPrice {
    /// The rates of a request whose prompt has this length.
    pub(super) fn rates_at(&self, prompt_tokens: u64) -> Rates {
        self.long_prompt.filter(|(above, _)| prompt_tokens > *above).map_or(self.rates, |(_, rates)| rates)
    }

    /// Returns the higher of two prices, for prompts of every length.
    pub(super) fn at_least(&self, floor: &ModelPrice) -> ModelPrice {
        let rates = self.rates.at_least(&floor.rates);
        let thresholds = [self, floor].into_iter().filter_map(|price| price.long_prompt.map(|(above, _)| above));
        // Above the lower threshold, the rates of both for the longest prompts apply.
        let long_prompt = thresholds
            .min()
            .map(|above| (above, rates.at_least(&self.rates_at(u64::MAX)).at_least(&floor.rates_at(u64::MAX))));
        ModelPrice { rates, long_prompt, context: self.context.or(floor.context) }
    }

    /// Returns true if this price is lower than `floor` for some request.
    pub(super) fn is_below(&self, floor: &ModelPrice) -> bool {
        let lengths = [self, floor].into_iter().filter_map(|price| price.long_prompt.map(|(above, _)| above));
        lengths.chain([u64::MAX, 0]).any(|length| {
            [length, length.saturating_add(1)].iter().any(|length| {
                let (own, floor) = (self.rates_at(*length), floor.rates_at(*length));
                own.at_least(&floor) != own
            })
        })
    }
}

impl Rates {
    pub(super) fn at_least(&self, other: &Rates) -> Rates {
        Rates {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            cache_read: self.cache_read.max(other.cache_read),
        }
    }
}

impl Factor {
    pub(super) const ONE: Factor = Factor(1000);

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1,000 and 1,000,000")]
    fn from_number(number: f64) -> Option<Factor> {
        (1.0..=1000.0).contains(&number).then(|| Factor((number * 1000.0).ceil() as u64))
    }

    pub(super) fn of(self, nanos: u64) -> u64 {
        u64::try_from(u128::from(nanos) * u128::from(self.0) / 1000).unwrap_or(u64::MAX)
    }
}

/// The file's shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    /// The source of the numbers, for people.
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default, rename = "surcharge_source")]
    _surcharge_source: Option<String>,
    /// Names that needed an entry in earlier versions.
    #[serde(default, rename = "aliases")]
    _aliases: Vec<String>,
    /// The day on which the prices were valid.
    since: Option<Date>,
    #[serde(borrow, default)]
    models: BTreeMap<String, &'a RawValue>,
    /// Dollars for one web search that the API made.
    web_search: Option<f64>,
    /// The factor on the price of tokens in fast mode.
    fast_mode: Option<f64>,
    /// The factor on the price of tokens in another service tier than the standard one.
    priority_tier: Option<f64>,
    /// The factor on the price of tokens that are processed in one region.
    data_residency: Option<f64>,
}

/// Dollars per million tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedModel {
    input: f64,
    output: f64,
    cache_write_5m: Option<f64>,
    cache_write_1h: Option<f64>,
    cache_read: Option<f64>,
    long_prompt: Option<LongPrompt>,
    context: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPrompt {
    above_tokens: u64,
    rates: ListedRates,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedRates {
    input: f64,
    output: f64,
    cache_write_5m: Option<f64>,
    cache_write_1h: Option<f64>,
    cache_read: Option<f64>,
}

/// The field, and the expected value.
type Wrong = (&'static str, String);

impl ListedModel {
    fn price(self, lowest: Lowest) -> Result<ModelPrice, Wrong> {
        let ListedModel { input, output, cache_write_5m, cache_write_1h, cache_read, long_prompt, context } = self;
        let rates = ListedRates { input, output, cache_write_5m, cache_write_1h, cache_read }.nanos(lowest)?;
        let long_prompt = match long_prompt {
            Some(long) => Some((long.above_tokens, long.rates.nanos(lowest)?)),
            None => None,
        };
        Ok(ModelPrice { rates, long_prompt, context })
    }
}

impl ListedRates {
    fn nanos(&self, lowest: Lowest) -> Result<Rates, Wrong> {
        let nanos = |field: &'static str, dollars: f64| {
            let is_high_enough = match lowest {
                Lowest::Zero => dollars >= 0.0,
                Lowest::AboveZero => dollars > 0.0,
            };
            let least = match lowest {
                Lowest::Zero => "from 0",
                Lowest::AboveZero => "above 0 and",
            };
            if is_high_enough && dollars <= MAX_DOLLARS {
                Ok(nanos_per_token(dollars))
            } else {
                Err((field, format!("a number of dollars {least} up to {MAX_DOLLARS}")))
            }
        };
        Ok(Rates {
            input: nanos("input", self.input)?,
            output: nanos("output", self.output)?,
            cache_write_5m: nanos("cache_write_5m", self.cache_write_5m.unwrap_or(self.input * 1.25))?,
            cache_write_1h: nanos("cache_write_1h", self.cache_write_1h.unwrap_or(self.input * 2.0))?,
            cache_read: nanos("cache_read", self.cache_read.unwrap_or(self.input * 0.1))?,
        })
    }
}

/// A price above zero stays above zero.
fn nanos_per_token(dollars_per_million: f64) -> u64 {
    let nanos = Cost::from_dollars(dollars_per_million / 1e6).nano_dollars();
    if dollars_per_million > 0.0 { nanos.max(1) } else { nanos }
}
