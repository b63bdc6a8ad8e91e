//! Faults: the coordinator as a process, real containers with the real CLI, and something that goes wrong from outside. What
//! callers were told and subscribers saw is checked against the promises afterwards. Needs root and what `tests/it` needs.
//! `scripts/faults` runs the long version (FAULTS_LENGTH=long) and collects the rows (FAULTS_REPORT).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells why"
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
