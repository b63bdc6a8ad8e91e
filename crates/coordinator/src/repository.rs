//! Repository tasks: from a prompt to a pull request.

mod choice;
mod mirror;

pub use choice::{Candidate, Choice, choose};
pub use mirror::{Git, MirrorCopy, MirrorError, MirrorSettings, Mirrors};
