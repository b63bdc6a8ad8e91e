//! The binary `claude-runner`: reads the configuration, builds every part from it, runs the server, drains it.
//!
//! | module | contains |
//! |---|---|
//! | [`config`] | every setting, and the settings of each crate made from them |
//! | [`commands`] | the arguments, and the exit status of an error |
//! | [`serve`] | the steps of the server: configuration, build, run, drain |
//! | [`server`] | builds sessions, sandboxes and background work from their parts; the tests use it too |
//! | `env_file` | warnings about variables of `.env` that are probably misspelt |
//! | `greeting` | the first lines of the server, for people |
//! | `listen` | the server's listener, and the reasons why there is none |
//! | `trial` | `claude-runner try`: server, sample agent, its API and a first task |
//! | `scripted` | the scripted model inside the server |
//! | `logs` | the log, the audit log, and the secrets that are masked in them |
//!
//! Invariants:
//! - Only [`config`] reads the environment.
//! - Only this crate knows how the parts belong together.

pub mod commands;
pub mod config;
mod env_file;
mod greeting;
mod listen;
mod logs;
mod scripted;
pub mod serve;
pub mod server;
mod trial;
