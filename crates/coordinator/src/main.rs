//! `claude-runner`: one binary for the server and for those who talk to it.

use std::process::ExitCode;

/// Gives memory back to the system once it is free, also where what is left lies between: after ten thousand sessions
/// have come to rest, the C library's allocator kept all that they had needed (docs/performance.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    coordinator::commands::run()
}
