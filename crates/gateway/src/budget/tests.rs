//! The ledger on its own, and budgets on a store.

mod crash;
mod property;
