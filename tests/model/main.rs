//! Sessions as a whole, against a model: the real registry, workers, store and link, on an engine in memory, with stand-ins for
//! `sandbox-init` and the agent. `random` makes up what happens, `directed` tells it; `promises` says what must hold.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod agent;
mod answers;
mod board;
mod directed;
mod play;
mod promises;
mod random;
mod sandbox;
mod scene;
mod settings;
mod world;
