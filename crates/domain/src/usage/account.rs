//! What a budget is a budget of.

use std::fmt;

use super::{Cost, Day};
use crate::access::KeyId;
use crate::session::SessionId;
use crate::task::TaskId;

/// Something that money is spent by. A model request is charged to several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    Task(TaskId),
    /// By the caller's name for it: deleting a session and beginning it anew gives it no new money.
    Session(SessionId),
    Key(KeyId),
    KeyDay(KeyId, Day),
    InstallationDay(Day),
    Installation,
}

/// What was spent on one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub spent: Cost,
    /// The part of it that was charged for requests which a crash cut off: nobody knows what they cost.
    pub assumed: Cost,
}

impl fmt::Display for Account {
    /// As the store names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Task(task) => write!(f, "task:{task}"),
            Account::Session(session) => write!(f, "session:{session}"),
            Account::Key(key) => write!(f, "key:{key}"),
            Account::KeyDay(key, day) => write!(f, "key-day:{key}:{day}"),
            Account::InstallationDay(day) => write!(f, "day:{day}"),
            Account::Installation => f.write_str("total"),
        }
    }
}
