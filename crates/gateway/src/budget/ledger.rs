//! The amounts spent and reserved on each account, and the decision if another request may start. The code neither waits nor reads
//! a clock.

use std::collections::HashMap;

use domain::budget::{Limit, Spent};
use domain::usage::{Account, Balance, Charge, Cost, Usage};

use crate::bound::Certainty;

/// The number of idle accounts in memory. More of them are dropped, because the store has them.
const IDLE_ACCOUNTS: usize = 4096;

pub(super) struct Ledger {
    entries: HashMap<Account, AccountState>,
    /// The number of accounts at which idle ones are removed.
    sweep_at: usize,
}

#[derive(Default)]
struct AccountState {
    balance: Balance,
    /// `None`: there were requests that this coordinator did not handle.
    usage: Option<Usage>,
    /// The number of open requests.
    open: u32,
    reserved: Cost,
    /// Open requests that may cost more than their reservation.
    unbounded: u32,
    /// Settlements that are not in the store yet.
    unwritten: u32,
}

/// The decision on a new request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// The request has a reservation.
    Granted,
    /// An open request may use up the rest.
    Wait,
    Spent(Spent),
    /// An account must be loaded first.
    Unknown,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { entries: HashMap::new(), sweep_at: IDLE_ACCOUNTS }
    }
}

impl Ledger {
    /// Returns the accounts that the ledger does not know.
    pub(super) fn unknown(&self, accounts: &[Account]) -> Vec<Account> {
        accounts.iter().filter(|account| !self.entries.contains_key(account)).cloned().collect()
    }

    /// Adds an account's balance from the store. A known account is unchanged.
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

    /// Returns true if no request of an account is open.
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
