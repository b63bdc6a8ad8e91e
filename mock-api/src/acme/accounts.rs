//! Acme's customers and their usage.

use serde::{Deserialize, Serialize};

/// All accounts. The sample has three: one with half of the month's calls used, one at its limit, one far below.
#[derive(Debug)]
pub(super) struct Accounts(Vec<Account>);

/// A customer and this month's usage.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) plan: Plan,
    pub(super) calls_used: u64,
}

/// The plans, smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Plan {
    Free,
    Pro,
    Scale,
    Enterprise,
}

impl Accounts {
    pub(super) fn sample() -> Self {
        let account = |id, name, email, plan, calls_used| Account { id, name, email, plan, calls_used };
        Self(vec![
            account("u_alice", "Alice", "alice@acme.test", Plan::Pro, 742),
            account("u_bob", "Bob", "bob@acme.test", Plan::Free, 100),
            account("u_carol", "Carol", "carol@acme.test", Plan::Enterprise, 18_250),
        ])
    }

    pub(super) fn all(&self) -> &[Account] {
        &self.0
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.id == id)
    }

    pub(super) fn by_id_mut(&mut self, id: &str) -> Option<&mut Account> {
        self.0.iter_mut().find(|account| account.id == id)
    }
}

impl Plan {
    pub(super) const ALL: [Self; 4] = [Self::Free, Self::Pro, Self::Scale, Self::Enterprise];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Free => "Free",
            Self::Pro => "Pro",
            Self::Scale => "Scale",
            Self::Enterprise => "Enterprise",
        }
    }

    /// Finds a plan by name, ignoring case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn calls_per_month(self) -> u64 {
        match self {
            Self::Free => 100,
            Self::Pro => 1_000,
            Self::Scale => 10_000,
            Self::Enterprise => 100_000,
        }
    }

    pub(super) fn dollars_per_month(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Pro => 29,
            Self::Scale => 199,
            Self::Enterprise => 999,
        }
    }
}
