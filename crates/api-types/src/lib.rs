//! The wire: requests, answers, problems and events as callers see them.
//!
//! | module | contains |
//! |---|---|
//! | [`task`] | a task's record, the answer to it, and its words: status, error type, stage |
//! | [`ask`] | asks, and the answers to them |
//! | [`session`], [`agent`], [`model`], [`files`], [`sandbox`], [`usage`], [`webhook`], [`health`] | the other answers |
//! | [`request`] | bodies as callers are told to send them |
//! | [`body`] | the same bodies as the server reads them, before it checks them |
//! | [`problem`] | every error |
//! | [`event`] | the events of a session's stream |
//! | [`change`] | the lines of `GET /watch` |
//! | [`time`](mod@time) | a time on the wire |
//!
//! `scripts/generate` writes `openapi.json`, `asyncapi.json` and the types of all clients from these structs, so a doc comment
//! here is a description there.
//!
//! Invariants:
//! - The order of a struct's fields is the order of the members in JSON. Callers may have pinned it; add at the end.
//! - A client reads answers of newer servers: unknown members are ignored, and an unknown word becomes `Unknown`.
//! - Plain data: nothing here waits, reads a clock or knows HTTP.

pub mod agent;
pub mod ask;
pub mod body;
pub mod change;
pub mod event;
pub mod files;
pub mod health;
pub mod model;
mod nullable;
pub mod problem;
pub mod request;
pub mod sandbox;
mod schema;
pub mod session;
pub mod task;
pub mod time;
pub mod usage;
pub mod webhook;
mod words;

pub use nullable::Nullable;
pub use words::{parse_word, word};
