//! One model request, as money sees it.

use super::{Account, Cost, Day, Usage};
use crate::access::KeyId;
use crate::session::SessionId;
use crate::task::TaskId;

/// A model request that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Of all that are open no other has it.
    pub id: u64,
    pub day: Day,
    pub key: Option<KeyId>,
    pub session: Option<SessionId>,
    pub task: Option<TaskId>,
    pub model: String,
    /// The most that it is expected to cost.
    pub estimate: Cost,
}

/// What a request came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// The one that answered.
    pub model: String,
    pub usage: Usage,
    pub cost: Cost,
    /// The part of the cost that the model API did not state.
    pub estimated: Cost,
}

/// What the CLI says that a task cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliCharge {
    pub day: Day,
    pub key: Option<KeyId>,
    pub session: SessionId,
    pub cost: Cost,
}

impl OpenRequest {
    /// All that it is charged to, narrowest first.
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
