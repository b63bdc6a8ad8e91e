//! `claude-runner`: one binary for the server and its command line.

use std::process::ExitCode;

/// jemalloc returns free memory to the system. After ten thousand sessions had ended, the allocator of the C library kept all
/// the memory that they had used (docs/concepts/performance.md).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    coordinator::commands::run()
}
