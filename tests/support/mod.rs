//! Shared by the tests with a real server: `tests/it` and `tests/faults` include it, and each has a `bounds` of its
//! own.

pub(crate) mod environment;
pub(crate) mod image;
pub(crate) mod leftovers;
pub(crate) mod process;
