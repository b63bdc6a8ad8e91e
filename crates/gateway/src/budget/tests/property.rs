//! No limit is exceeded by more than one request, whatever happens and whenever the coordinator dies.

use std::collections::BTreeMap;

use domain::budget::Limit;
use domain::task::TaskId;
use domain::usage::{Account, Balance, Charge, Cost};
use proptest::prelude::*;

use crate::bound::Certainty;
use crate::budget::ledger::{Ledger, Ruling};

const ACCOUNTS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// Starts a request on the accounts whose bits are set. It finally costs `cost` percent of its estimate: more than 100 only if
    /// its cost has no known bound.
    Start {
        accounts: u8,
        estimate: u64,
        cost: u64,
    },
    /// The index of an open request, modulo their number.
    End {
        which: usize,
        written: bool,
    },
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u8..1 << ACCOUNTS, 1_u64..400, 0_u64..=130)
            .prop_map(|(accounts, estimate, cost)| Step::Start { accounts, estimate, cost }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, written)| Step::End { which, written }),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..120)
}

fn account(number: usize) -> Account {
    Account::Task(format!("{number:016x}").parse::<TaskId>().unwrap())
}

struct Open {
    accounts: Vec<Account>,
    estimate: Cost,
    certainty: Certainty,
    cost: Cost,
}

/// The ledger, the simulated store, and the true costs.
struct World {
    ledger: Ledger,
    limits: BTreeMap<Account, Cost>,
    stored: BTreeMap<Account, Cost>,
    open: Vec<Open>,
    /// Settled requests that are not written: the store still counts them as open.
    unwritten: Vec<Open>,
    /// The true cost of all ended requests.
    truth: BTreeMap<Account, Cost>,
}

impl World {
    fn start(&mut self, bits: u8, estimate: Cost, cost: Cost) {
        let accounts: Vec<Account> = (0..ACCOUNTS).filter(|n| bits >> n & 1 == 1).map(account).collect();
        let limits: Vec<Limit> = accounts
            .iter()
            .filter_map(|account| {
                Some(Limit { account: account.clone(), most: *self.limits.get(account)?, setting: "" })
            })
            .collect();
        for account in self.ledger.unknown(&accounts) {
            let spent = self.stored.get(&account).copied().unwrap_or_default();
            self.ledger.learn(account, Balance { spent, assumed: Cost::ZERO });
        }
        let certainty = if cost > estimate { Certainty::Unbounded } else { Certainty::Bounded };
        match self.ledger.reserve(&accounts, &limits, estimate, certainty) {
            Ruling::Granted => {
                for account in &accounts {
                    let before = self.truth.entry(account.clone()).or_default();
                    if let Some(limit) = self.limits.get(account) {
                        assert!(*before < *limit, "{account} had used {before:?} of {limit:?} up already");
                    }
                    *before += cost;
                }
                self.open.push(Open { accounts, estimate, certainty, cost });
            }
            Ruling::Spent(spent) => assert!(spent.spent >= spent.limit),
            Ruling::Wait => assert!(!self.open.is_empty(), "it would wait for ever"),
            Ruling::Unknown => panic!("they were all learned"),
        }
    }

    fn end(&mut self, which: usize, written: bool) {
        if self.open.is_empty() {
            return;
        }
        let request = self.open.remove(which % self.open.len());
        let charge = Charge { cost: request.cost, ..Charge::default() };
        self.ledger.settle(&request.accounts, request.estimate, request.certainty, &charge);
        if written {
            self.ledger.written(&request.accounts);
            self.store(&request.accounts, request.cost);
        } else {
            self.unwritten.push(request);
        }
    }

    fn crash(&mut self) {
        self.ledger = Ledger::default();
        for lost in std::mem::take(&mut self.open).into_iter().chain(std::mem::take(&mut self.unwritten)) {
            // The coordinator that knew the overrun is dead, so only the estimate is charged.
            self.store(&lost.accounts, lost.estimate);
            for account in lost.accounts {
                let truth = self.truth.entry(account).or_default();
                *truth = *truth - (lost.cost - lost.estimate);
            }
        }
    }

    fn store(&mut self, accounts: &[Account], cost: Cost) {
        for account in accounts {
            *self.stored.entry(account.clone()).or_default() += cost;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_limit_is_overrun_by_more_than_one_request(
        limits in prop::collection::vec(prop::option::of(1_u64..2000), ACCOUNTS),
        steps in steps(),
    ) {
        let limits = limits.into_iter().enumerate();
        let limits = limits.filter_map(|(n, limit)| Some((account(n), Cost::from_nano_dollars(limit?)))).collect();
        let mut world = World {
            ledger: Ledger::default(),
            limits,
            stored: BTreeMap::new(),
            open: Vec::new(),
            unwritten: Vec::new(),
            truth: BTreeMap::new(),
        };
        for step in steps {
            match step {
                Step::Start { accounts, estimate, cost } => {
                    let cost = Cost::from_nano_dollars(estimate * cost / 100);
                    world.start(accounts, Cost::from_nano_dollars(estimate), cost);
                }
                Step::End { which, written } => world.end(which, written),
                Step::Crash => world.crash(),
            }
        }
    }
}

#[test]
fn accounts_that_nobody_uses_are_forgotten_and_others_are_not() {
    let mut ledger = Ledger::default();
    let (kept, unwritten) = ([account(1)], [account(2)]);
    for account in [&kept, &unwritten] {
        ledger.learn(account[0].clone(), Balance::default());
        assert_eq!(ledger.reserve(account, &[], Cost::from_nano_dollars(5), Certainty::Bounded), Ruling::Granted);
    }
    let charge = Charge { cost: Cost::from_nano_dollars(3), ..Charge::default() };
    ledger.settle(&unwritten, Cost::from_nano_dollars(5), Certainty::Bounded, &charge);
    for number in 10..20_000 {
        ledger.learn(account(number), Balance::default());
    }
    assert!(ledger.balance(&account(10)).is_none());
    assert_eq!(ledger.balance(&account(2)).unwrap().spent, Cost::from_nano_dollars(3));
    assert!(ledger.balance(&account(1)).is_some());
}
