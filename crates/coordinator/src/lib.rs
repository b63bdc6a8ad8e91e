//! The binary `claude-runner`: reads the configuration, builds every part from it, runs the server, drains it.
//!
//! | module | contains |
//! |---|---|
//! | [`config`] | every setting, and the settings of each crate made from them |
//! | [`commands`] | the arguments, and the exit status of an error |
//! | [`serve`] | the steps of the server: configuration, build, run, drain |
//! | [`server`] | builds sessions, sandboxes and background work from their parts; the tests use it too |
//! | `logs` | the log, the audit log, and the secrets that are masked in them |
//!
//! Invariants:
//! - Only [`config`] reads the environment.
//! - Only this crate knows how the parts belong together.

pub mod commands;
pub mod config;
mod logs;
pub mod serve;
pub mod server;
