use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// The `si_code` of a signal that was sent by kill(2). A process that queues a signal and chooses the sender field
/// itself cannot use this code.
const BY_KILL: i32 = 0;

/// The sender's process id, seen from inside the container, if the sender is outside of it.
const OUTSIDE: u32 = 0;

/// Listens for SIGTERM, the request to end. As the first process of a container it accepts SIGTERM only from outside.
/// Otherwise the agent, which has the same user, could end its sandbox and make that look like an action of the engine.
/// No other signal has an effect; without the mask, those for which the standard library installs handlers (SIGSEGV,
/// SIGBUS) would end the process.
pub(crate) struct Termination {
    /// Receives signals that are not blocked.
    handled: Signals,
    /// Receives blocked signals with their sender. All signals but SIGCHLD are blocked.
    held: Option<AsyncFd<SignalFd>>,
}

impl Termination {
    /// Call this before any thread starts, because each thread has its own signal mask.
    pub(crate) fn listen() -> io::Result<Self> {
        let handled = signal(SignalKind::terminate())?;
        let held = (std::process::id() == 1).then(hold_back).transpose()?;
        Ok(Self { handled, held })
    }

    /// Waits for the request to end. Cancel-safe.
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

/// Runs `act` with all signals unblocked, so that a process it starts does not inherit the mask. The agent does not run
/// yet, so no signal comes from inside.
pub(crate) fn without_holding_back<T>(act: impl FnOnce() -> T) -> T {
    if std::process::id() != 1 {
        return act();
    }
    // Neither call can fail with a valid set.
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
        // An error here is one of epoll itself. A missed SIGTERM is then the least problem.
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
