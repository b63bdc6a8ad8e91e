//! Tests for what the code must not contain: dependencies against the table of layers, a library outside its owner, and forbidden
//! constructs. Cargo itself refuses only cycles between crates and imports without a dependency. These tests need no engine and no
//! build output.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod absences;
mod manifests;
mod sources;
