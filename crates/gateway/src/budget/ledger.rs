//! Keeps what was spent and reserved on each account, and decides if one more request may begin. No waiting, no clock.

use std::collections::HashMap;

use domain::budget::{Limit, Spent};
use domain::usage::{Account, Balance, Charge, Cost, Usage};

use crate::bound::Certainty;

/// Accounts that may lie idle in memory; beyond these, those that nobody uses are forgotten. The store has them.
const IDLE_ACCOUNTS: usize = 4096;

pub(super) struct Ledger {
    entries: HashMap<Account, AccountState>,
    /// At this size idle accounts are looked for.
    sweep_at: usize,
}

#[derive(Default)]
struct AccountState {
    balance: Balance,
    /// `None`: there were requests that this coordinator has not seen.
    usage: Option<Usage>,
    /// Requests that are open, and what they may cost.
    open: u32,
    reserved: Cost,
    /// Open requests that may cost more than is reserved.
    unbounded: u32,
    /// Settlements that the store does not have yet.
    unwritten: u32,
}

/// The decision on a request that wants to begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is reserved.
    Granted,
    /// An open request may use up what is left.
    Wait,
    Spent(Spent),
    /// An account has to be loaded first.
    Unknown,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { entries: HashMap::new(), sweep_at: IDLE_ACCOUNTS }
    }
}

impl Ledger {
    /// Returns those of `accounts` that are not known here.
    pub(super) fn unknown(&self, accounts: &[Account]) -> Vec<Account> {
        accounts.iter().filter(|account| !self.entries.contains_key(account)).cloned().collect()
    }

    /// Takes over what the store has of an account. One that is known already stays as it is.
    pub(super) fn learn(&mut self, account: Account, balance: Balance) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| entry.open > 0 || entry.unwritten > 0);
            self.sweep_at = IDLE_ACCOUNTS.max(2 * self.entries.len());
        }
        self.entries.entry(account).or_insert(AccountState { balance, ..AccountState::default() });
    }

    /// Adds an account that was never charged.
    pub(super) fn learn_new(&mut self, account: &Account) {
        self.learn(account.clone(), Balance::default());
        if let Some(entry) = self.entries.get_mut(account)
            && entry.balance == Balance::default()
        {
            entry.usage.get_or_insert_default();
        }
    }

    /// Returns true when no request of an account is open.
    pub(super) fn is_settled(&self, account: &Account) -> bool {
        self.entries.get(account).is_none_or(|entry| entry.open == 0)
    }

    pub(super) fn charged(&self, account: &Account) -> Option<(Cost, Option<Usage>)> {
        self.entries.get(account).map(|entry| (entry.balance.spent, entry.usage))
    }

    pub(super) fn balance(&self, account: &Account) -> Option<Balance> {
        self.entries.get(account).map(|entry| entry.balance)
    }

    /// Reserves `estimate` on all accounts if no limit forbids it. Every limit's account is one of `accounts`.
    pub(super) fn reserve(
        &mut self,
        accounts: &[Account],
        limits: &[Limit],
        estimate: Cost,
        certainty: Certainty,
    ) -> Ruling {
        if accounts.iter().any(|account| !self.entries.contains_key(account)) {
            return Ruling::Unknown;
        }
        let mut wait = false;
        for limit in limits {
            let Some(entry) = self.entries.get(&limit.account) else { return Ruling::Unknown };
            let spent = entry.balance.spent;
            if spent >= limit.most {
                return Ruling::Spent(limit.reached(spent));
            }
            wait |= entry.unbounded > 0 || (entry.open > 0 && spent + entry.reserved >= limit.most);
        }
        if wait {
            return Ruling::Wait;
        }
        for account in accounts {
            if let Some(entry) = self.entries.get_mut(account) {
                entry.open += 1;
                entry.reserved += estimate;
                entry.unbounded += u32::from(certainty == Certainty::Unbounded);
            }
        }
        Ruling::Granted
    }

    /// Charges a granted request. The account stays in memory until [`Ledger::written`].
    pub(super) fn settle(&mut self, accounts: &[Account], estimate: Cost, certainty: Certainty, charge: &Charge) {
        for account in accounts {
            if let Some(entry) = self.entries.get_mut(account) {
                entry.open -= 1;
                entry.reserved = entry.reserved - estimate;
                entry.unbounded -= u32::from(certainty == Certainty::Unbounded);
                entry.balance.spent += charge.cost;
                if let Some(usage) = &mut entry.usage {
                    *usage += charge.usage;
                }
                entry.unwritten += 1;
            }
        }
    }

    /// Marks a settlement as stored.
    pub(super) fn written(&mut self, accounts: &[Account]) {
        for account in accounts {
            if let Some(entry) = self.entries.get_mut(account) {
                entry.unwritten -= 1;
            }
        }
    }
}
