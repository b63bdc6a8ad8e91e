//! Code shared by the tests with a real server: `tests/it` and `tests/faults` include it, and each has its own `bounds`.

pub(crate) mod environment;
pub(crate) mod image;
pub(crate) mod orphans;
pub(crate) mod process;
