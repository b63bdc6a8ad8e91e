use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// What the kernel says of a signal that came by kill(2). No process can say it of one that it queued with a sender of its
/// own choice.
const BY_KILL: i32 = 0;

/// The sender as it is seen from inside a container, where it is not in it.
const OUTSIDE: u32 = 0;

/// The order to end, SIGTERM. As the first process of a container it is taken from outside only: the agent, which has the
/// same user, could end its sandbox with it and have that look like the engine's doing. No other signal does anything
/// there; those that the standard library has handlers for (SIGSEGV, SIGBUS) would end the process.
pub(crate) struct Termination {
    /// Gets what comes while it is not held back.
    handled: Signals,
    /// All but SIGCHLD is held back and taken from here, with its sender.
    held: Option<AsyncFd<SignalFd>>,
}

impl Termination {
    /// Before any thread is started: each has its own mask.
    pub(crate) fn listen() -> io::Result<Self> {
        let handled = signal(SignalKind::terminate())?;
        let held = (std::process::id() == 1).then(hold_back).transpose()?;
        Ok(Self { handled, held })
    }

    /// Safe to cancel.
    pub(crate) async fn ordered(&mut self) {
        match &mut self.held {
            None => drop(self.handled.recv().await),
            Some(held) => tokio::select! {
                _ = self.handled.recv() => {}
                () = from_outside(held) => {}
            },
        }
    }
}

/// What `act` starts does not inherit that signals are held back. The agent does not run yet, so none comes from inside.
pub(crate) fn without_holding_back<T>(act: impl FnOnce() -> T) -> T {
    if std::process::id() != 1 {
        return act();
    }
    // Neither can fail with a valid set.
    let _ = SigSet::all().thread_unblock();
    let outcome = act();
    let _ = all_but_children().thread_block();
    outcome
}

fn all_but_children() -> SigSet {
    let mut set = SigSet::all();
    set.remove(Signal::SIGCHLD);
    set
}

#[expect(deprecated, reason = "its replacement is unsafe; a SignalFd owns its descriptor and keeps it")]
fn hold_back() -> io::Result<AsyncFd<SignalFd>> {
    all_but_children().thread_block()?;
    AsyncFd::new(SignalFd::with_flags(&all_but_children(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

async fn from_outside(held: &mut AsyncFd<SignalFd>) {
    loop {
        // An error would be one of epoll itself, of which a SIGTERM that does not end the container is the smallest part.
        let Ok(mut ready) = held.readable_mut().await else { return std::future::pending().await };
        match ready.get_inner_mut().read_signal() {
            Ok(Some(signal)) if is_order_to_end(&signal) => return,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => ready.clear_ready(),
        }
    }
}

fn is_order_to_end(signal: &siginfo) -> bool {
    signal.ssi_signo == Signal::SIGTERM as u32 && signal.ssi_code == BY_KILL && signal.ssi_pid == OUTSIDE
}
