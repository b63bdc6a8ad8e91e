//! Places at which a test can end the process as `kill -9` does. A build without debug assertions has none of them: the macro
//! leaves nothing of itself there. `tests/faults/failpoints.rs` has a case for each.

/// Ends the process here where FAILPOINT says so: a name, or several with `>` between them, which have to be reached in this
/// order; the last one ends the process.
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
            // Nothing is written, closed or told on the way out.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}
