//! The models with their prices, for lists.

use jiff::Timestamp;

use super::Prices;
use super::layers::PricedModel;
use super::table::{ModelPrice, Rates};

/// A model and its price.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownModel {
    pub name: String,
    pub price: ListedPrice,
    /// Other prices for all tokens of a request whose prompt has more tokens than this.
    pub long_prompt: Option<(u64, ListedPrice)>,
    /// The context window, in tokens.
    pub context: Option<u64>,
    /// The time since which this price is known.
    pub since: Option<Timestamp>,
    pub source: PriceSource,
}

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedPrice {
    pub input: f64,
    pub output: f64,
    pub cache_write_5m: f64,
    pub cache_write_1h: f64,
    pub cache_read: f64,
}

/// The place that a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceSource {
    BuiltIn,
    /// `MODEL_PRICES_URL`
    Url,
    /// `MODEL_PRICES`
    File,
    /// The model has no price and is counted as the most expensive one.
    Assumed,
}

impl Prices {
    /// All models with a price, and those without one that answered since the start, sorted by name.
    pub fn list(&self) -> Vec<KnownModel> {
        let layers = self.layers();
        let mut models: Vec<KnownModel> =
            layers.models().into_iter().map(|(name, entry)| listed(name, entry)).collect();
        let assumed = self.noted().models.clone();
        let assumed = assumed.into_iter().filter(|(model, _)| !self.has_price(model));
        models.extend(assumed.map(|(model, since)| KnownModel { since: Some(since), ..self.assumed(&model) }));
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }

    /// A model without a price, at the price by which it is counted.
    pub fn assumed(&self, model: &str) -> KnownModel {
        let entry = PricedModel { price: self.layers().dearest, source: PriceSource::Assumed, since: None };
        listed(model, &entry)
    }
}

fn listed(name: &str, entry: &PricedModel) -> KnownModel {
    let ModelPrice { rates, long_prompt, context } = entry.price;
    KnownModel {
        name: name.to_owned(),
        price: ListedPrice::of(&rates),
        long_prompt: long_prompt.map(|(above, rates)| (above, ListedPrice::of(&rates))),
        context,
        since: entry.since,
        source: entry.source,
    }
}

impl ListedPrice {
    fn of(rates: &Rates) -> ListedPrice {
        ListedPrice {
            input: dollars(rates.input),
            output: dollars(rates.output),
            cache_write_5m: dollars(rates.cache_write_5m),
            cache_write_1h: dollars(rates.cache_write_1h),
            cache_read: dollars(rates.cache_read),
        }
    }
}

/// A nano-dollar for a token is a thousandth of a dollar for a million of them.
#[expect(clippy::cast_precision_loss, reason = "a price has at most 11 digits")]
fn dollars(nanos_per_token: u64) -> f64 {
    nanos_per_token as f64 / 1000.0
}
