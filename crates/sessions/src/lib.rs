//! Sessions and their parts: the worker of each session, its events, its tasks on repositories, the delivery of
//! webhooks, and the maintenance of an installation.
//!
//! | module | contains |
//! |---|---|
//! | [`registry`] | finds or starts the worker of a session |
//! | [`session`] | one session: the worker, its queue, its events, its dialogue with the agent |
//! | [`repository`] | tasks on repositories: choice, clone, mirrors, pull request |
//! | [`webhook`] | delivers what is due |
//! | [`maintenance`] | once a minute: removes orphans, applies retention |
//!
//! Invariants:
//! - One loop feeds a session: only its worker receives messages and output. No branch of it waits for the engine.
//! - An event is committed before it is published.
//! - The crate does not know HTTP.

pub mod maintenance;
pub mod registry;
pub mod repository;
pub mod session;
pub mod webhook;
