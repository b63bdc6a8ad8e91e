//! Models and their prices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// for `model` of a task
    pub name: String,
    #[schema(inline)]
    pub price: ModelPrice,
    /// the prices of all tokens of a request with a long prompt, where they are others
    #[schema(inline, required)]
    pub long_prompt: Option<LongPrompt>,
    /// the context window, in tokens
    #[schema(required, minimum = 1)]
    pub context: Option<u64>,
    /// the time since which this price is known
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub known_since: Option<Time>,
    #[schema(inline)]
    pub source: PriceSource,
    /// true where the model has no price, so that it is counted as the most expensive one
    pub price_assumed: bool,
}

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrice {
    #[schema(minimum = 0)]
    pub input: f64,
    #[schema(minimum = 0)]
    pub output: f64,
    /// for a lifetime of 5 minutes
    #[serde(rename = "cacheWrite5m")]
    #[schema(minimum = 0)]
    pub cache_write_5m: f64,
    /// for a lifetime of an hour
    #[serde(rename = "cacheWrite1h")]
    #[schema(minimum = 0)]
    pub cache_write_1h: f64,
    #[schema(minimum = 0)]
    pub cache_read: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LongPrompt {
    pub above_tokens: u64,
    #[schema(inline)]
    pub price: ModelPrice,
}

/// `file`: MODEL_PRICES. `url`: MODEL_PRICES_URL. `assumed`: the price of the most expensive model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    BuiltIn,
    Url,
    File,
    Assumed,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshedPrices {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// the number of models in the table
    pub models: u64,
    /// models that have another price than before, or that had none
    pub changed: Vec<String>,
    /// models whose price in the table is lower than the built-in one, which stays
    pub lower: Vec<String>,
}
