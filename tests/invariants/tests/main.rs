//! Absences in the code: the table of layers, the owners of libraries, and constructs that the code may not use. Cargo
//! alone refuses only cycles between crates and imports without a dependency. These tests need no engine and nothing
//! that was built.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod absences;
mod manifests;
mod sources;
