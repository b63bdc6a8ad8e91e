//! The plain data of Claude Runner, and the pure rules about it. Every other crate may use this one; it uses none of them.
//!
//! | module | contains |
//! |---|---|
//! | [`session`] | ids and records of sessions |
//! | [`task`] | ids, requests, records and outcomes of tasks |
//! | [`event`] | the events of a session, as they are stored and sent |
//! | [`usage`] | tokens and money, and the accounts that are charged |
//! | [`budget`] | limits on those accounts, and who pays for a request |
//! | [`access`] | API keys: id, digest, scope, limits |
//! | [`egress`] | hosts, and the rules that allow them |
//! | [`repository`] | repositories, branches and pull requests of repository tasks |
//! | [`webhook`] | deliveries, targets and secrets of webhooks |
//! | [`agent`] | names of agent templates |
//! | [`ask`] | asks, and the policy that decides which calls become one |
//! | [`model`] | names of models, and the model behind each |
//! | [`claude_code`] | versions of Claude Code |
//! | [`plain`] | the messages of libraries and of the operating system, in words for people |
//! | [`sandbox`] | paths inside every sandbox |
//! | [`age`] | an age in a setting |
//!
//! Invariants:
//! - There is no I/O, no clock, no tokio: a function that needs the time takes it as an argument.
//! - Types that are stored or sent are a promise. The store and the API rely on their serialised form.

pub mod access;
pub mod age;
pub mod agent;
pub mod ask;
pub mod budget;
pub mod claude_code;
pub mod egress;
mod error_chain;
pub mod event;
pub mod model;
pub mod plain;
pub mod repository;
pub mod sandbox;
pub mod session;
pub mod task;
pub mod usage;
pub mod webhook;

pub use error_chain::error_chain;
