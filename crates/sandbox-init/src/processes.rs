use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::worker::InitError;

/// The exit status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
}

/// Prevents the agent, which has the same user, from reading this process's memory (it holds the secret) and from
/// attaching a debugger to it.
pub(crate) fn hide() -> Result<(), InitError> {
    prctl::set_dumpable(false).map_err(|error| InitError::Hide(error.into()))
}

pub(crate) fn signal(pid: Pid, number: i32) -> io::Result<()> {
    Ok(kill(pid, Signal::try_from(number)?)?)
}

/// Signals every process except this one. For PID 1 the kernel gives -1 that meaning. Anywhere else, for example in a
/// test, -1 would reach the user's other processes; there the function signals only the program's process group.
pub(crate) fn signal_everything(group: Option<Pid>, signal: Signal) {
    // If no process is left to signal, the goal is reached.
    let _ = if std::process::id() == 1 {
        kill(Pid::from_raw(-1), signal)
    } else {
        group.map_or(Ok(()), |group| killpg(group, signal))
    };
}

/// Reaps one ended process, whether child or adopted. Returns `None` if none has ended.
pub(crate) fn reap() -> Option<(Pid, End)> {
    loop {
        return match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => Some((pid, End::Code(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => Some((pid, End::Signal(signal as i32))),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => None,
            // The call does not request stops and traces. An interrupted call is repeated.
            Ok(_) | Err(_) => continue,
        };
    }
}
