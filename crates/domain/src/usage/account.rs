//! Accounts: the subjects of budgets.

use std::fmt;

use super::{Cost, Day};
use crate::access::KeyId;
use crate::session::SessionId;
use crate::task::TaskId;

/// The subject of a budget. One model request is charged to several accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    Task(TaskId),
    /// The caller's session id: deleting a session and creating it again does not reset its budget.
    Session(SessionId),
    Key(KeyId),
    KeyDay(KeyId, Day),
    InstallationDay(Day),
    Installation,
}

/// The amount spent on one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub spent: Cost,
    /// The part of `spent` that was charged for requests which a crash interrupted. Their real cost is unknown.
    pub assumed: Cost,
}

impl fmt::Display for Account {
    /// The account's name in the store.
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
