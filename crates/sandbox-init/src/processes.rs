use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::worker::Failure;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

/// Keeps the agent, which has the same user, from reading our memory (the secret) and from attaching to us.
pub(crate) fn hide() -> Result<(), Failure> {
    prctl::set_dumpable(false).map_err(|error| Failure::Hide(error.into()))
}

pub(crate) fn signal(pid: Pid, number: i32) -> io::Result<()> {
    Ok(kill(pid, Signal::try_from(number)?)?)
}

/// Signals every process except this one. That is the kernel's meaning of -1 for PID 1; anywhere else, as in a test,
/// it would reach the user's other processes, so there it is only the process group of the program.
pub(crate) fn signal_everything(group: Option<Pid>, signal: Signal) {
    // Nobody left to signal is what was wanted.
    let _ = if std::process::id() == 1 {
        kill(Pid::from_raw(-1), signal)
    } else {
        group.map_or(Ok(()), |group| killpg(group, signal))
    };
}

/// Collects one ended process, ours or adopted; None when there is none at the moment.
pub(crate) fn reap() -> Option<(Pid, End)> {
    loop {
        return match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => Some((pid, End::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => Some((pid, End::Signal(signal as i32))),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => None,
            // Stops and traces are not asked for; an interrupted call is made again.
            Ok(_) | Err(_) => continue,
        };
    }
}
