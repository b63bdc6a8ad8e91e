//! The tables of prices, one over the other: the operator's file, then the higher of the built-in table and the fetched one.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::model::{first_party, without_date, without_suffix};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::PriceSource;
use super::table::{Factor, ModelPrice, Table};

/// A table with the time since which its prices are known.
#[derive(Debug, Default)]
pub(super) struct Dated {
    pub(super) table: Table,
    /// The default for models without a time of their own.
    pub(super) since: Option<Timestamp>,
    pub(super) since_by_model: BTreeMap<String, Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct PricedModel {
    pub(super) price: ModelPrice,
    pub(super) source: PriceSource,
    pub(super) since: Option<Timestamp>,
}

type Models = BTreeMap<Arc<str>, PricedModel>;

#[derive(Debug)]
pub(super) struct Layers {
    operator: Models,
    /// The built-in prices and the fetched ones.
    listed: Models,
    pub(super) web_search_nanos: u64,
    pub(super) fast_mode: Factor,
    /// The list has no price for another tier than the standard one, so that the dearest surcharge counts.
    pub(super) priority_tier: Factor,
    pub(super) data_residency: Factor,
    /// At least as high as every known price, for each kind of token and each length of a prompt.
    pub(super) dearest: ModelPrice,
}

impl Layers {
    /// Returns the layers, and the models whose fetched price is lower than the built-in one. For these, the built-in price stays.
    pub(super) fn new(built_in: &Dated, fetched: Option<&Dated>, operator: Option<&Dated>) -> (Layers, Vec<String>) {
        let floor = built_in.models(PriceSource::BuiltIn);
        let mut listed = floor.clone();
        let mut lowered = Vec::new();
        for (name, entry) in fetched.map(|fetched| fetched.models(PriceSource::Url)).unwrap_or_default() {
            // Another spelling of a built-in model must not lower its price either.
            let Some((known, least)) = find(&floor, &name) else {
                listed.insert(name, entry);
                continue;
            };
            if entry.price.is_below(&least.price) {
                lowered.push(name.to_string());
            }
            let price = entry.price.at_least(&least.price);
            if *known != name || price != least.price {
                listed.insert(name, PricedModel { price, ..entry });
            }
        }
        let operator_models = operator.map(|operator| operator.models(PriceSource::File)).unwrap_or_default();
        let all = || listed.values().chain(operator_models.values()).map(|entry| entry.price);
        let rates = all().fold(ModelPrice::default().rates, |most, price| {
            most.at_least(&price.rates).at_least(&price.rates_at(u64::MAX))
        });
        let dearest = ModelPrice { rates, long_prompt: None, context: None };
        let tables = [Some(built_in), fetched, operator].map(|dated| dated.map(|dated| &dated.table));
        let fast_mode = given(tables, |table| table.fast_mode).unwrap_or(Factor::ONE);
        let layers = Layers {
            web_search_nanos: given(tables, |table| table.web_search_nanos).unwrap_or_default(),
            fast_mode,
            priority_tier: given(tables, |table| table.priority_tier).unwrap_or(fast_mode),
            data_residency: given(tables, |table| table.data_residency).unwrap_or(Factor::ONE),
            dearest,
            operator: operator_models,
            listed,
        };
        (layers, lowered)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.operator.is_empty() && self.listed.is_empty()
    }

    /// Finds the price of a model: exactly this name first, then other spellings of it, in the operator's file before the others.
    pub(super) fn find(&self, model: &str) -> Option<(&Arc<str>, &PricedModel)> {
        find(&self.operator, model).or_else(|| find(&self.listed, model))
    }

    /// The models whose price is another one in `earlier`, or missing there.
    pub(super) fn changed_from(&self, earlier: &Layers) -> Vec<String> {
        let before = earlier.models();
        let is_new =
            |name: &Arc<str>, entry: &PricedModel| before.get(name).is_none_or(|before| before.price != entry.price);
        let models = self.models().into_iter();
        models.filter(|(name, entry)| is_new(name, entry)).map(|(name, _)| name.to_string()).collect()
    }

    /// All models with a price, by name.
    pub(super) fn models(&self) -> BTreeMap<&Arc<str>, &PricedModel> {
        self.listed.iter().chain(&self.operator).collect()
    }
}

impl Dated {
    fn models(&self, source: PriceSource) -> Models {
        let default = self.table.since.and_then(midnight).or(self.since);
        let entry = |(name, price): (&String, &ModelPrice)| {
            let since = self.since_by_model.get(name).copied().or(default);
            (Arc::from(name.as_str()), PricedModel { price: *price, source, since })
        };
        self.table.models.iter().map(entry).collect()
    }
}

fn find<'a>(models: &'a Models, name: &str) -> Option<(&'a Arc<str>, &'a PricedModel)> {
    let given = without_suffix(name);
    let own = first_party(given);
    [given, without_date(given), &*own, without_date(&own)].into_iter().find_map(|name| models.get_key_value(name))
}

/// The operator's value, or else the higher of the other two.
fn given<T: Ord>([built_in, fetched, operator]: [Option<&Table>; 3], of: fn(&Table) -> Option<T>) -> Option<T> {
    operator.and_then(of).or_else(|| built_in.and_then(of).max(fetched.and_then(of)))
}

fn midnight(day: Date) -> Option<Timestamp> {
    day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
