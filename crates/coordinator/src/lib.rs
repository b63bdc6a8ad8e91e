//! The coordinator of Claude Runner: takes tasks over HTTP, runs each in its session's sandbox, streams what happens.
//!
//! Dependencies point one way: `http → registry → session → {sandbox → container-engine, store, log}`;
//! `gateway` is served by a sandbox's link. See ARCHITECTURE.md.

pub mod cli;
pub mod config;
