//! The cost of one model request.

use super::{Account, Cost, Day, Usage};
use crate::access::KeyId;
use crate::session::SessionId;
use crate::task::TaskId;

/// A model request that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Unique among all open requests.
    pub id: u64,
    pub day: Day,
    pub key: Option<KeyId>,
    pub session: Option<SessionId>,
    pub task: Option<TaskId>,
    pub model: String,
    /// The upper estimate of the cost.
    pub estimate: Cost,
}

/// The actual cost of a model request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// The model that answered.
    pub model: String,
    pub usage: Usage,
    pub cost: Cost,
    /// The part of `cost` that is an estimate because the model API did not report it.
    pub estimated: Cost,
    /// The part of `cost` whose model has no price, so that it is counted as the most expensive one.
    pub assumed: Cost,
}

/// The cost of a task that the CLI reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliCharge {
    pub day: Day,
    pub key: Option<KeyId>,
    pub session: SessionId,
    pub cost: Cost,
}

impl OpenRequest {
    /// Returns every account that the request is charged to, narrowest first.
    pub fn accounts(&self) -> Vec<Account> {
        let mut accounts = Vec::with_capacity(6);
        accounts.extend(self.task.clone().map(Account::Task));
        accounts.extend(self.session.clone().map(Account::Session));
        if let Some(key) = &self.key {
            accounts.extend([Account::KeyDay(key.clone(), self.day), Account::Key(key.clone())]);
        }
        accounts.extend([Account::InstallationDay(self.day), Account::Installation]);
        accounts
    }
}
