//! PID 1 of every sandbox. It starts the program that the coordinator names, carries its input and output over the
//! link, reaps processes, and forwards 127.0.0.1:8787 to the gateway. It outlives the coordinator for `ORPHAN_TTL`.
//!
//! | module | contains |
//! |---|---|
//! | `worker` | the owner of the program; the only `select!` over commands and signals |
//! | `connection`, `address` | the link: connect, handshake, read, write, reconnect |
//! | `inbox` | stdin until the agent reads it |
//! | `program`, `lines` | the running program, its stdio, and its output as lines |
//! | `processes`, `termination`, `cgroup` | signals, reaping, SIGTERM from outside, the kernel's out-of-memory counter |
//! | `disk` | the watchdog of the files' size |
//! | `files` | serves requests for files, each on a connection and a thread of its own |
//! | `forward` | the local port that leads to the gateway |
//! | `settings` | the container's environment |
//!
//! Invariants:
//! - One thread runs everything but requests for files and measurements of the disk, which wait for the disk.
//! - Connections come and go without the worker noticing: it uses only the outbox and the `inbox`.
//! - The process is not dumpable, and the link's secret is only in its memory.

use std::io::Write;
use std::process::ExitCode;

use crate::settings::Settings;

mod address;
mod cgroup;
mod connection;
mod disk;
mod files;
mod forward;
mod inbox;
mod lines;
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
            // The container's log is the only place that shows a failure before the first connection.
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

fn run() -> Result<(), worker::InitError> {
    let settings = Settings::from_environment()?;
    processes::hide()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(worker::InitError::Runtime)?;
    runtime.block_on(worker::run(settings))
}
