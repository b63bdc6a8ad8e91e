//! Usage and cost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::nullable::Nullable;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    #[schema(format = Date)]
    pub from: String,
    #[schema(format = Date)]
    pub to: String,
    #[schema(inline)]
    pub by: Vec<UsageDimension>,
    pub totals: UsageRow,
    #[schema(max_items = 1000)]
    pub rows: Vec<UsageRow>,
    pub truncated: bool,
}

/// A member of a row by which usage can be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum UsageDimension {
    Day,
    Key,
    SessionId,
    Model,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date, nullable = false)]
    pub day: Option<Nullable<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key: Option<Nullable<String>>,
    #[serde(rename = "sessionId", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_id: Option<Nullable<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model: Option<Nullable<String>>,
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
    #[schema(minimum = 0)]
    pub cost: f64,
    #[serde(rename = "estimatedCost")]
    #[schema(minimum = 0)]
    pub estimated_cost: f64,
    /// true where a part of `cost` is of a model without a price, counted as the most expensive one
    #[serde(rename = "priceAssumed", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub price_assumed: Option<bool>,
    #[serde(rename = "cliCost")]
    #[schema(minimum = 0, required)]
    pub cli_cost: Option<f64>,
}

impl UsageRow {
    /// The value of a dimension, where the row has one.
    pub fn group(&self, dimension: UsageDimension) -> Option<&str> {
        let member = match dimension {
            UsageDimension::Day => &self.day,
            UsageDimension::Key => &self.key,
            UsageDimension::SessionId => &self.session_id,
            UsageDimension::Model => &self.model,
            UsageDimension::Unknown => return None,
        };
        Nullable::value(member).map(String::as_str)
    }
}
