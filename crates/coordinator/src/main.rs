//! `claude-runner`: one binary for the server and for those who talk to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    coordinator::cli::run()
}
