//! Tests of the ledger alone, and of budgets on a store.

mod crash;
mod property;
