//! Failpoints: named places at which a test can end the process as `kill -9` does. A build without debug assertions
//! contains none; the macro expands to nothing there. `tests/faults/failpoints.rs` has a case for each.
//!
//! Invariants:
//! - Only FAILPOINT in the environment activates a failpoint.
//! - An active failpoint ends the process without any cleanup.

/// Ends the process here if FAILPOINT selects this name. FAILPOINT is one name, or several separated by `>` that must
/// be reached in this order; the last one ends the process.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::reached($name);
    };
}

#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    use std::collections::VecDeque;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static AHEAD: LazyLock<Option<Mutex<VecDeque<String>>>> = LazyLock::new(|| {
        let names = std::env::var("FAILPOINT").ok()?;
        Some(Mutex::new(names.split('>').map(str::to_owned).collect()))
    });

    let Some(ahead) = &*AHEAD else { return };
    let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
    if ahead.front().is_some_and(|next| next == name) {
        ahead.pop_front();
        if ahead.is_empty() {
            // SIGKILL ends the process at once: nothing is flushed, closed or reported.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}
