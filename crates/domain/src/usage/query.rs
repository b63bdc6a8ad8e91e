//! Questions about what was used, and their answers.

use std::collections::BTreeMap;

use super::{Cost, Day, Usage};
use crate::access::KeyId;
use crate::session::SessionId;

/// What usage can be split by.
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

/// All that are set must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageFilter {
    /// Both days included.
    pub from: Day,
    pub to: Day,
    /// Of every one of these keys, which is none where two differ.
    pub keys: Vec<KeyId>,
    pub session: Option<SessionId>,
    /// What the sessions' ids begin with.
    pub session_prefix: Option<String>,
    pub model: Option<String>,
}

/// What was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// What it is about, for each dimension that was asked for. Empty: without a key, outside of a session.
    pub group: BTreeMap<Dimension, String>,
    pub usage: Usage,
    pub cost: Cost,
    pub estimated: Cost,
    /// `None` where it is not known: the CLI names no model.
    pub cli_cost: Option<Cost>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageReport {
    pub totals: UsageRow,
    /// Newest day first.
    pub rows: Vec<UsageRow>,
    /// There would be more rows.
    pub truncated: bool,
}
