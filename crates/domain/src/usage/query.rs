//! Usage reports and their filters.

use std::collections::BTreeMap;

use super::{Cost, Day, Usage};
use crate::access::KeyId;
use crate::session::SessionId;

/// A dimension by which usage can be grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    Day,
    Key,
    Session,
    Model,
}

impl Dimension {
    pub const ALL: [Dimension; 4] = [Dimension::Day, Dimension::Key, Dimension::Session, Dimension::Model];

    pub const fn as_str(self) -> &'static str {
        match self {
            Dimension::Day => "day",
            Dimension::Key => "key",
            Dimension::Session => "session",
            Dimension::Model => "model",
        }
    }
}

/// A filter of usage. All fields that are set must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageFilter {
    /// `from` and `to` are both inclusive.
    pub from: Day,
    pub to: Day,
    /// Matches only if the key equals every key in this list. Two different keys match nothing.
    pub keys: Vec<KeyId>,
    pub session: Option<SessionId>,
    /// Matches sessions whose ids start with this prefix.
    pub session_prefix: Option<String>,
    pub model: Option<String>,
}

/// One row of a usage report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// The value of each requested dimension. An empty string stands for requests without a key or outside of a
    /// session.
    pub group: BTreeMap<Dimension, String>,
    pub usage: Usage,
    pub cost: Cost,
    pub estimated: Cost,
    /// The part of `cost` of models that had no price.
    pub assumed: Cost,
    /// The cost that the CLI reports. `None` when rows are grouped by model, because the CLI names none.
    pub cli_cost: Option<Cost>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    pub totals: UsageRow,
    /// Rows, newest day first.
    pub rows: Vec<UsageRow>,
    /// More rows exist.
    pub truncated: bool,
}
