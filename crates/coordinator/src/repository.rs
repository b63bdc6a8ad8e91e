//! Repository tasks: from a prompt to a pull request.

mod choice;

pub use choice::{Candidate, Choice, choose};
