//! Paths that are the same in every sandbox.

/// The directory that holds a session's files. It is the agent's working directory.
pub const WORKSPACE: &str = "/workspace";
