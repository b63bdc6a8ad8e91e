//! Holds back a model request until the session's worker has seen the tool calls of the previous answer.
//!
//! A tool call reaches the worker through the agent's output, and the next model request reaches the gateway on another path,
//! possibly earlier. Without the gate, the worker could not stop the request of a forbidden turn in time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The time in which the worker must confirm a tool call. After that the request continues.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct RequestGate(watch::Sender<GateState>);

#[derive(Clone, Copy, Default)]
struct GateState {
    /// New requests wait until they are released.
    held: bool,
    /// Tool calls in forwarded answers that the worker has not confirmed.
    unconfirmed: u32,
}

impl RequestGate {
    pub(super) fn new() -> Self {
        RequestGate(watch::Sender::default())
    }

    /// Starts a task: the state of the previous one is dropped.
    pub(super) fn restart(&self) {
        self.0.send_replace(GateState::default());
    }

    pub(super) fn hold(&self) {
        self.0.send_modify(|state| state.held = true);
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|state| state.held = false);
    }

    /// Counts the tool calls of an answer that is about to be forwarded.
    pub(super) fn expect_calls(&self, tool_calls: u32) {
        self.0.send_modify(|state| state.unconfirmed += tool_calls);
    }

    /// Confirms that the worker has seen a tool call.
    pub(super) fn confirm_call(&self) {
        self.0.send_modify(|state| state.unconfirmed = state.unconfirmed.saturating_sub(1));
    }

    /// Waits until a request may start.
    pub(super) async fn until_free(&self) {
        // Waiting fails only without a sender, and this value is the sender.
        let mut state = self.0.subscribe();
        if timeout(CONFIRM_TIMEOUT, state.wait_for(|state| state.unconfirmed == 0)).await.is_err() {
            self.0.send_modify(|state| state.unconfirmed = 0);
        }
        let _ = state.wait_for(|state| !state.held).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::RequestGate;

    #[tokio::test]
    async fn requests_wait_for_the_worker() {
        let gate = RequestGate::new();
        let is_free = || gate.until_free().now_or_never().is_some();
        assert!(is_free());
        gate.expect_calls(2);
        gate.confirm_call();
        assert!(!is_free(), "one of two calls is confirmed");
        gate.hold();
        gate.confirm_call();
        assert!(!is_free(), "all calls are confirmed, and it was the last turn");
        gate.release();
        assert!(is_free());
        gate.confirm_call();
        assert!(is_free(), "a call that was not expected");
        gate.expect_calls(1);
        gate.restart();
        assert!(is_free());
    }
}
