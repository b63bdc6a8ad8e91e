//! The states of a session as a pure table: which state follows which input, and which action the worker takes.

#[cfg(test)]
mod tests;

/// One task runs at most, and only in [`State::Running`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No sandbox. The session's storage may exist.
    Cold,
    /// A launch is in progress.
    Starting,
    /// A stop cancelled the launch, which has not reported yet.
    Cancelling(After),
    /// The agent waits for a message.
    Idle,
    /// The sandbox yields its slot to another session. It stays until the agent has written its transcript, and no task starts in
    /// it.
    Evicting,
    Running,
    /// The sandbox is being taken down.
    Stopping(After),
    /// The sandbox was removed, and its storage is being removed.
    Wiping(After),
}

/// The purpose of a stop. If two callers ask for a stop, the later variant wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum After {
    /// The storage stays; the next task resumes the conversation.
    Rest,
    /// The storage is removed, the session stays.
    Reset,
    /// Session and storage are removed.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A task was queued.
    Queued,
    /// The commit that accepted a task also gave it to the idle agent.
    Begun,
    /// A task is likely to come soon.
    Expected,
    /// The previous coordinator left a sandbox.
    Found,
    /// The sandbox is ready.
    Started,
    /// The sandbox of the previous coordinator is attached again, and its task runs.
    Reattached,
    /// The launch failed, and the task that waited for it has ended.
    StartFailed,
    /// The launch ended and no task may use its sandbox: the launch was cancelled, or reattaching failed.
    LaunchLost,
    /// The running task ended and the agent waits for the next one.
    Ended,
    /// Like `Ended`, but another session has waited so long for a sandbox that it goes first.
    EndedYielding,
    /// Another session needs the sandbox's slot.
    EvictionRequested,
    /// The sandbox can no longer be used: the process ended, the container was removed, or the task was cut off.
    Lost,
    /// The idle timeout, or the delay of an eviction, is over.
    IdledOut,
    /// A caller asked for a stop. The tasks that it concerns have ended.
    Stop(After),
    /// The sandbox was removed.
    TakenDown,
    /// The storage was removed.
    Wiped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    StartSandbox,
    ReattachSandbox,
    StartTask,
    CancelLaunch,
    StopSandbox,
    RemoveStorage,
    /// The stop is complete: store it and answer its callers.
    Settle(After),
}

impl Input {
    /// Returns the input for a task that left work to hand in: its sandbox is removed before anything else starts.
    pub(crate) const fn handing_in(self) -> Self {
        match self {
            Input::Ended | Input::EndedYielding => Input::Lost,
            Input::StartFailed => Input::LaunchLost,
            Input::Queued
            | Input::Begun
            | Input::Expected
            | Input::Found
            | Input::Started
            | Input::Reattached
            | Input::LaunchLost
            | Input::EvictionRequested
            | Input::Lost
            | Input::IdledOut
            | Input::Stop(_)
            | Input::TakenDown
            | Input::Wiped => self,
        }
    }
}

impl State {
    /// The name that the API shows.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            State::Cold => "cold",
            State::Starting => "starting",
            State::Idle | State::Evicting => "idle",
            State::Running => "running",
            State::Cancelling(_) | State::Stopping(_) | State::Wiping(_) => "stopping",
        }
    }

    /// The stop in progress.
    pub(crate) const fn stop(self) -> Option<After> {
        match self {
            State::Cancelling(after) | State::Stopping(after) | State::Wiping(after) => Some(after),
            State::Cold | State::Starting | State::Idle | State::Evicting | State::Running => None,
        }
    }

    /// `ready`: a task is queued and may start.
    pub(crate) fn next(self, input: Input, ready: bool) -> (State, Action) {
        use {Action as A, Input as I, State as S};
        let task_or_idle = if ready { (S::Running, A::StartTask) } else { (S::Idle, A::Nothing) };
        match (self, input) {
            (S::Cold, I::Queued | I::Expected) => (S::Starting, A::StartSandbox),
            (S::Cold, I::Found) => (S::Starting, A::ReattachSandbox),

            (S::Starting, I::Started) => task_or_idle,
            (S::Starting, I::Reattached) => (S::Running, A::Nothing),
            (S::Starting, I::StartFailed) if ready => (S::Starting, A::StartSandbox),
            (S::Starting, I::StartFailed) => (S::Cold, A::Nothing),
            (S::Starting, I::LaunchLost) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Starting, I::Lost) => (S::Cancelling(After::Rest), A::CancelLaunch),
            (S::Starting, I::Stop(after)) => (S::Cancelling(after), A::CancelLaunch),

            (S::Idle, I::Queued) => task_or_idle,
            (S::Idle, I::Begun) => (S::Running, A::Nothing),
            (S::Idle, I::EvictionRequested) => (S::Evicting, A::Nothing),

            (S::Running, I::Ended) => task_or_idle,
            (S::Running, I::EndedYielding) => (S::Evicting, A::Nothing),

            (S::Idle | S::Evicting, I::IdledOut) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Idle | S::Evicting | S::Running, I::Lost) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Cold | S::Idle | S::Evicting | S::Running, I::Stop(after)) => (S::Stopping(after), A::StopSandbox),

            (S::Cancelling(a), I::Stop(b)) => (S::Cancelling(a.max(b)), A::Nothing),
            (S::Stopping(a), I::Stop(b)) => (S::Stopping(a.max(b)), A::Nothing),
            (S::Wiping(a), I::Stop(b)) => (S::Wiping(a.max(b)), A::Nothing),
            (S::Cancelling(after), I::LaunchLost) => (S::Stopping(after), A::StopSandbox),
            (S::Stopping(After::Rest), I::TakenDown) => (S::Cold, A::Settle(After::Rest)),
            (S::Stopping(after @ (After::Reset | After::Delete)), I::TakenDown) => (S::Wiping(after), A::RemoveStorage),
            (S::Wiping(after), I::Wiped) => (S::Cold, A::Settle(after)),

            // A task waits in the queue, and reports about a sandbox that is being taken down are out of date.
            (
                S::Cold
                | S::Starting
                | S::Idle
                | S::Evicting
                | S::Running
                | S::Cancelling(_)
                | S::Stopping(_)
                | S::Wiping(_),
                I::Queued
                | I::Begun
                | I::Expected
                | I::Found
                | I::Started
                | I::Reattached
                | I::StartFailed
                | I::LaunchLost
                | I::Ended
                | I::EndedYielding
                | I::EvictionRequested
                | I::Lost
                | I::IdledOut
                | I::TakenDown
                | I::Wiped,
            ) => (self, A::Nothing),
        }
    }
}
