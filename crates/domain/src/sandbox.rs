//! Paths that are the same in every sandbox.

/// The directory of a session's files, and the working directory of its agent.
pub const WORKSPACE: &str = "/workspace";
