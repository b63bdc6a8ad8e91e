//! Budgets: the limits on each account, and the accounts that pay for a model request.

use std::fmt;

use crate::access::{KeyId, KeyLimits};
use crate::session::SessionId;
use crate::task::TaskId;
use crate::usage::{Account, Cost, Day};

/// Limits that the operator sets for the whole installation. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallationLimits {
    /// Maximum cost of each session.
    pub session: Option<Cost>,
    /// Maximum cost of all sessions together, per day (UTC).
    pub day: Option<Cost>,
    /// Maximum cost of all sessions together, over the life of the installation.
    pub total: Option<Cost>,
}

/// The task, session and key on whose behalf a sandbox calls the model. All fields are empty before the sandbox gets
/// its first task; then only the installation's limits apply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payer {
    pub task: Option<TaskId>,
    pub session: Option<SessionId>,
    pub key: Option<KeyId>,
    /// The task's `maxCostUsd`.
    pub max_cost: Option<Cost>,
    pub key_limits: KeyLimits,
}

/// The error of a request that a limit rejects: the account has spent its whole limit.
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
    /// The request field or setting that holds the limit.
    pub setting: &'static str,
}

/// The maximum that may be spent on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub account: Account,
    pub most: Cost,
    pub setting: &'static str,
}

impl Limit {
    /// Builds the error for this limit when `spent` has reached it.
    pub fn reached(&self, spent: Cost) -> Spent {
        Spent { account: self.account.clone(), limit: self.most, spent, setting: self.setting }
    }
}

/// Returns every limit that applies to the payer on that day, narrowest first.
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
        (payer.key.clone().map(Account::Key), key.max_total_cost, "the key's total limit"),
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
