//! Fault tests: the coordinator runs as a process with real containers and the real CLI, and a fault is injected from outside.
//! Afterwards the answers to callers and the events of subscribers are checked against the promises. The tests need root and
//! everything that `tests/it` needs. `scripts/faults` runs them in full (FAULTS_LENGTH=short or long) and collects the rows
//! (FAULTS_REPORT).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and prints the reason"
)]

mod bounds;
mod check;
mod client;
mod follow;
mod history;
mod load;
mod memory;
mod own_engine;
mod recovery;
mod row;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod work;

mod clock;
mod container;
mod data;
mod descriptors;
mod disk;
mod engine;
mod failpoints;
mod kill;
mod odd_agent;
mod races;
mod subscribers;
