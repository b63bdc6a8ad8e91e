//! Who pays for a request, and how much they may spend.

use std::fmt;

use crate::access::{KeyId, KeyLimits};
use crate::session::SessionId;
use crate::task::TaskId;
use crate::usage::{Account, Cost, Day};

/// What the operator sets for the whole installation. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallationLimits {
    /// Of each session.
    pub session: Option<Cost>,
    /// Of all together, each day.
    pub day: Option<Cost>,
    /// Of all together, ever.
    pub total: Option<Cost>,
}

/// On whose behalf a sandbox asks the model. Nobody's, where no task was given to it yet: the installation pays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payer {
    pub task: Option<TaskId>,
    pub session: Option<SessionId>,
    pub key: Option<KeyId>,
    /// `maxCostUsd` of the task.
    pub max_cost: Option<Cost>,
    pub key_limits: KeyLimits,
}

/// A limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of ${:.4} is used up: ${:.4} were spent ({setting})",
    whose(.account),
    .limit.dollars(),
    .spent.dollars()
)]
pub struct Spent {
    pub account: Account,
    pub limit: Cost,
    pub spent: Cost,
    /// Where it was set.
    pub setting: &'static str,
}

/// The most that may be spent on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub account: Account,
    pub most: Cost,
    pub setting: &'static str,
}

impl Limit {
    pub fn reached(&self, spent: Cost) -> Spent {
        Spent { account: self.account.clone(), limit: self.most, spent, setting: self.setting }
    }
}

/// All that bound a payer on that day, narrowest first.
pub fn limits_of(payer: &Payer, installation: &InstallationLimits, day: Day) -> Vec<Limit> {
    let key = &payer.key_limits;
    let task = payer.task.clone().map(Account::Task);
    let session = payer.session.clone().map(Account::Session);
    let candidates = [
        (task.clone(), payer.max_cost, "maxCostUsd"),
        (task, key.max_task_cost, "the key's limit for a task"),
        (session.clone(), key.max_session_cost, "the key's limit for a session"),
        (session, installation.session, "MAX_SESSION_COST_USD"),
        (payer.key.clone().map(|key| Account::KeyDay(key, day)), key.max_day_cost, "the key's limit for a day"),
        (payer.key.clone().map(Account::Key), key.max_total_cost, "the key's limit in all"),
        (Some(Account::InstallationDay(day)), installation.day, "MAX_DAY_COST_USD"),
        (Some(Account::Installation), installation.total, "MAX_TOTAL_COST_USD"),
    ];
    let limit = |(account, most, setting): (Option<Account>, Option<Cost>, &'static str)| {
        Some(Limit { account: account?, most: most?, setting })
    };
    candidates.into_iter().filter_map(limit).collect()
}

fn whose(account: &Account) -> impl fmt::Display {
    match account {
        Account::Task(_) => "the task's budget".to_owned(),
        Account::Session(session) => format!("the budget of session {session}"),
        Account::Key(key) => format!("the budget of key {key}"),
        Account::KeyDay(key, day) => format!("the budget of key {key} for {day} (UTC)"),
        Account::InstallationDay(day) => format!("the installation's budget for {day} (UTC)"),
        Account::Installation => "the installation's budget".to_owned(),
    }
}
