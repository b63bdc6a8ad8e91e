//! The binary `claude-runner`: reads the configuration, builds every part from it, runs the server, drains it.
//!
//! | module | contains |
//! |---|---|
//! | [`config`] | every setting, and the settings of each crate made from them |
//! | [`commands`] | the arguments, and the exit status of an error |
//! | [`serve`] | the steps of the server: configuration, build, run, drain |
//!
//! Invariants:
//! - Nothing but [`config`] reads the environment.
//! - Nothing but this crate knows how the parts belong together.

pub mod commands;
pub mod config;
pub mod serve;
