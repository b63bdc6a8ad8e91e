//! Model tests of whole sessions: the real registry, workers, store and link run on an engine in memory, with stand-ins for
//! `sandbox-init` and the agent. `random` generates sequences of steps, `directed` writes them by hand, and `promises` checks the
//! results.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod agent;
mod answers;
mod board;
mod directed;
mod files;
mod play;
mod promises;
mod random;
mod sandbox;
mod scene;
mod settings;
mod world;
