//! Tests of the servers in this process on 127.0.0.1:0, over real HTTP.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

mod acme;
mod acme_cli;
mod asking;
mod directives;
mod faults;
mod forge;
mod invariants;
mod scripts;
mod streams;
