//! The outside world of Claude Runner for the demo and the tests.
//!
//! | module | contains |
//! |---|---|
//! | [`acme`] | the API that the sample agent's tool calls (binary `acme-api`) |
//! | [`scripted_model`] | the Messages API, answered from scripts instead of by a model (binary `scripted-model`) |
//! | [`forge`] | a forge that imitates GitHub (binary `forge`) |
//! | [`program`] | code that the three binaries share |
//!
//! Invariants:
//! - Each server can also run inside a test on `127.0.0.1:0`. Dropping its handle stops it.
//! - A server checks what its clients send and records it, so that a test can assert on it.

pub mod acme;
pub mod forge;
pub mod program;
pub mod scripted_model;
pub mod serving;
