//! What must not be in the code. The compiler holds the arrows between crates; these tests hold the other absences, and the
//! manifests that make the arrows. They need no engine and nothing that was built.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod absences;
mod manifests;
mod sources;
