//! The coordinator of Claude Runner: takes tasks over HTTP, runs each in its session's sandbox, streams what happens.
//!
//! Dependencies point one way: `http → registry → session → {sandbox → container-engine, store, log}`;
//! `gateway` is served by a sandbox's link. See ARCHITECTURE.md.

pub mod access;
pub mod agent;
mod archive;
pub mod audit;
pub mod budget;
pub mod cli;
pub mod config;
mod failpoint;
pub mod gateway;
pub mod github;
pub mod http;
pub mod image;
pub mod link;
pub mod metrics;
pub mod output;
pub mod redact;
pub mod registry;
pub mod repository;
pub mod sandbox;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod upkeep;
pub mod webhook;
