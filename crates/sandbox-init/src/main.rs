//! PID 1 of every sandbox: starts what the coordinator says, carries its output and input over the link, reaps, and
//! forwards 127.0.0.1:8787 to the gateway. It outlives the coordinator for as long as `ORPHAN_TTL`.
//!
//! One thread. `worker` owns the program and has the only `select!` of commands and signals; `connection` holds the
//! link and may come and go without the worker noticing: between the two are `outbox` (frames up, kept until
//! acknowledged) and `inbox` (frames down and what the agent has not read yet).

use std::io::Write;
use std::process::ExitCode;

use crate::settings::Settings;

mod address;
mod cgroup;
mod connection;
mod disk;
mod forward;
mod inbox;
mod lines;
mod outbox;
mod processes;
mod program;
mod settings;
mod termination;
mod worker;

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == "--version") {
        return version();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The container's log is the only place where a failure before the first connection can be seen.
            let _ = writeln!(std::io::stderr(), "sandbox-init: {error}");
            ExitCode::FAILURE
        }
    }
}

fn version() -> ExitCode {
    let text = format!("sandbox-init {} (protocol {})", env!("CARGO_PKG_VERSION"), sandbox_link::PROTOCOL_VERSION);
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> Result<(), worker::Failure> {
    let settings = Settings::from_environment()?;
    processes::hide()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(worker::Failure::Runtime)?;
    runtime.block_on(worker::run(settings))
}
