//! The prices of models' tokens.
//!
//! | module | contains |
//! |---|---|
//! | `table` | the shape of a table, and the checks of its content |
//! | `layers` | the built-in table, the fetched one and the operator's, and which of them decides |
//! | `known` | the models with their prices, for lists |

mod known;
mod layers;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use domain::model::{is_regional, without_suffix};
use domain::usage::Cost;
use jiff::Timestamp;

use self::layers::{Dated, Layers};
use self::table::{Lowest, ModelPrice, Table};
use super::tokens::TokenCounts;

pub use known::{KnownModel, ListedPrice, PriceSource};
pub use table::TableError;

/// The known public list prices, with the operator's changes.
#[derive(Debug)]
pub struct Prices {
    built_in: Dated,
    operator: Option<Dated>,
    /// The table of MODEL_PRICES_URL.
    fetched: Mutex<Option<Dated>>,
    layers: RwLock<Arc<Layers>>,
    noted: Mutex<Noted>,
}

/// Models and fields with a warning in the log, so that each is logged once.
#[derive(Debug, Default)]
struct Noted {
    fields: Vec<String>,
    /// Models without a price, by the time of their first answer.
    models: BTreeMap<String, Timestamp>,
    /// Models whose fetched price is lower than the built-in one.
    lower: Vec<String>,
}

/// The effect of a fetched table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceChanges {
    /// The number of models in the table.
    pub models: usize,
    /// Models that have another price than before, or that had none.
    pub changed: Vec<String>,
    /// Models whose price in the table is lower than the built-in one, which stays.
    pub lower: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error("could not read the price file {path} (MODEL_PRICES)")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the price table {from} (MODEL_PRICES) is malformed")]
    Table { from: String, source: TableError },
    #[error("there is no price for any model")]
    Empty,
}

/// The model of one request, by the names that request and answer state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) requested: &'a str,
    pub(super) answered: Option<&'a str>,
    /// Other models that had a part in the answer.
    pub(super) others: &'a [String],
}

/// The cost of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Priced {
    pub(super) cost: Cost,
    /// The name under which the model has its price. `None`: it has no price, and costs as much as the most expensive one.
    pub(super) name: Option<Arc<str>>,
    /// The model without a price that decided the cost.
    pub(super) unpriced: Option<String>,
}

impl Prices {
    /// The number of models and fields that are remembered, so that each is warned about once.
    const MAX_NOTED: usize = 64;

    /// Loads the built-in table with the additions and changes of `path` (`MODEL_PRICES`, of the same shape).
    pub fn load(path: Option<&Path>) -> Result<Prices, PricesError> {
        let parse = |from: &str, text: &str| {
            Table::parse(text, Lowest::Zero).map_err(|source| PricesError::Table { from: from.to_owned(), source })
        };
        let built_in = Dated { table: parse("built in", include_str!("prices.json"))?, ..Dated::default() };
        let operator = match path {
            Some(path) => {
                let unread = |source| PricesError::Read { path: path.to_owned(), source };
                let text = std::fs::read_to_string(path).map_err(unread)?;
                let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                let since = changed.and_then(|changed| Timestamp::try_from(changed).ok());
                let table = parse(&path.display().to_string(), &text)?;
                Some(Dated { table, since, ..Dated::default() })
            }
            None => None,
        };
        let (layers, _) = Layers::new(&built_in, None, operator.as_ref());
        if layers.is_empty() {
            return Err(PricesError::Empty);
        }
        let layers = RwLock::new(Arc::new(layers));
        Ok(Prices { built_in, operator, fetched: Mutex::default(), layers, noted: Mutex::default() })
    }

    /// Replaces the fetched table. `since`: the times since which its prices are known, for those that did not change.
    pub(super) fn set_fetched(
        &self,
        text: &str,
        at: Timestamp,
        since: &BTreeMap<String, Timestamp>,
    ) -> Result<PriceChanges, TableError> {
        let table = Table::parse(text, Lowest::AboveZero)?;
        if table.models.is_empty() {
            return Err(TableError::Empty);
        }
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fetched.as_ref().map(|before| &before.table.models);
        let is_same = |model: &String, price: &ModelPrice| {
            // After a restart there is no table to compare with, and the kept times are those of the kept prices.
            before.is_none_or(|before| before.get(model) == Some(price))
        };
        let since_by_model = table.models.iter().map(|(model, price)| {
            let known = since.get(model).filter(|_| is_same(model, price));
            (model.clone(), known.copied().unwrap_or(at))
        });
        let dated = Dated { since: Some(at), since_by_model: since_by_model.collect(), table };
        let (layers, lower) = Layers::new(&self.built_in, Some(&dated), self.operator.as_ref());
        let models = dated.table.models.len();
        *fetched = Some(dated);
        let changed = layers.changed_from(&self.layers());
        *self.layers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(layers);
        drop(fetched);
        self.warn_of_lower(&lower);
        Ok(PriceChanges { models, changed, lower })
    }

    /// The times since which the prices of the fetched table are known.
    pub(super) fn fetched_since(&self) -> BTreeMap<String, Timestamp> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.as_ref().map(|fetched| fetched.since_by_model.clone()).unwrap_or_default()
    }

    /// Logs fetched prices that are too low, again only if the models change.
    fn warn_of_lower(&self, lower: &[String]) {
        let mut noted = self.noted();
        if !lower.is_empty() && noted.lower != lower {
            tracing::warn!(
                models = lower.join(", "),
                "the table at MODEL_PRICES_URL has prices below the built-in ones, which stay; MODEL_PRICES can lower them"
            );
        }
        lower.clone_into(&mut noted.lower);
    }

    /// Returns true if a model has a price, in this spelling or another one: with or without its date, a suffix like `[1m]` or the
    /// prefix of a platform.
    pub fn has_price(&self, model: &str) -> bool {
        self.layers().find(without_fast(model)).is_some()
    }

    /// Returns the cost of an answer by `model`. A model without a price costs as much as the most expensive one.
    pub(super) fn cost(&self, model: &str, counts: &TokenCounts) -> Cost {
        self.price(Named { requested: model, answered: None, others: &[] }, counts).cost
    }

    /// Returns the cost of one answer: by the model of the request, or by another one that the answer names if that is more expensive.
    /// A name of the answer without a price does not count if the request's has one, because a gateway may answer in a name of its
    /// own. A further model without a price is counted as the most expensive one.
    pub(super) fn price(&self, named: Named<'_>, counts: &TokenCounts) -> Priced {
        let layers = self.layers();
        let priced = |model: &str| {
            let (name, entry) = layers.find(without_fast(model))?;
            let mut counts = *counts;
            counts.fast |= without_fast(model) != model;
            // The operator's price for this very name contains the surcharge. A fetched one may not lower what is counted.
            let is_own = entry.source == PriceSource::File && **name == *without_suffix(without_fast(model));
            counts.regional |= is_regional(model) && !is_own;
            Some(Priced { cost: cost_at(&layers, &entry.price, &counts), name: Some(Arc::clone(name)), unpriced: None })
        };
        let dearest = |model: &str| {
            let mut counts = *counts;
            counts.fast |= without_fast(model) != model;
            counts.regional |= is_regional(model);
            let cost = cost_at(&layers, &layers.dearest, &counts);
            Priced { cost, name: None, unpriced: Some(model.to_owned()) }
        };
        let dearer = |one: Priced, other: Priced| if other.cost > one.cost { other } else { one };
        let known = [priced(named.requested), named.answered.and_then(priced)].into_iter().flatten().reduce(dearer);
        let own = known.unwrap_or_else(|| dearest(named.requested));
        let others = named
            .others
            .iter()
            .filter(|model| ![Some(named.requested), named.answered].contains(&Some(model.as_str())));
        others.map(|model| priced(model).unwrap_or_else(|| dearest(model))).fold(own, dearer)
    }

    /// Logs, once for each field, that the API counts something without a known price.
    pub(super) fn warn_of_field(&self, field: &str) {
        let mut noted = self.noted();
        if noted.fields.len() < Self::MAX_NOTED && !noted.fields.iter().any(|known| known == field) {
            noted.fields.push(field.to_owned());
            tracing::warn!(
                field,
                "the model API's usage has something without a known price: it is counted as the dearest of its kind"
            );
        }
    }

    /// Logs, once for each model, that an answer was charged at the highest known price.
    pub(super) fn warn_of_model(&self, model: &str) {
        let mut noted = self.noted();
        if noted.models.len() < Self::MAX_NOTED && !noted.models.contains_key(model) {
            noted.models.insert(model.to_owned(), Timestamp::now());
            tracing::warn!(
                model,
                "this model has no price, so it is counted as the most expensive one; MODEL_PRICES or MODEL_PRICES_URL can add it"
            );
        }
    }

    fn layers(&self) -> Arc<Layers> {
        Arc::clone(&self.layers.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost_at(layers: &Layers, price: &ModelPrice, counts: &TokenCounts) -> Cost {
    let rates = price.rates_at(counts.prompt());
    let parts = [
        (counts.input, rates.input),
        (counts.output, rates.output),
        (counts.cache_write_5m, rates.cache_write_5m),
        (counts.cache_write_1h, rates.cache_write_1h),
        (counts.cache_read, rates.cache_read),
        (counts.unknown, rates.output),
    ];
    let mut nanos = parts.iter().fold(0_u64, |sum, (n, rate)| sum.saturating_add(n.saturating_mul(*rate)));
    nanos = match (counts.fast, counts.priority) {
        (true, true) => layers.fast_mode.max(layers.priority_tier).of(nanos),
        (true, false) => layers.fast_mode.of(nanos),
        (false, true) => layers.priority_tier.of(nanos),
        (false, false) => nanos,
    };
    if counts.regional {
        nanos = layers.data_residency.of(nanos);
    }
    let searches = counts.web_searches.saturating_mul(layers.web_search_nanos);
    Cost::from_nano_dollars(nanos.saturating_add(searches))
}

/// Removes the suffix of platforms with separate models for fast mode: `claude-opus-4-8-fast` → `claude-opus-4-8`
fn without_fast(model: &str) -> &str {
    model.strip_suffix("-fast").unwrap_or(model)
}
