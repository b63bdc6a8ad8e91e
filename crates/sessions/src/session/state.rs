//! Where a session stands, as a pure table: what follows from what, and what is to be done about it.

/// A session's state. At most one task runs, and only in [`State::Running`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No sandbox. Volumes may be there.
    Cold,
    /// A sandbox is being made ready.
    Starting,
    /// The agent waits for a message.
    Idle,
    Running,
    /// The sandbox is being taken down, and then this happens.
    Stopping(After),
}

/// What follows a stop. The later variant wins where two were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum After {
    /// Volumes stay; the next task resumes the conversation.
    Rest,
    /// Volumes go, the session stays.
    Reset,
    /// All of it goes.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A task was put into the queue.
    Queued,
    /// A task was put before an agent that waited, in the commit that accepted it.
    Begun,
    /// A task may come soon.
    Expected,
    /// An earlier coordinator left a sandbox.
    Left,
    /// The sandbox is ready.
    Started,
    /// The sandbox of an earlier coordinator is ours, and the task in it runs.
    TakenOver,
    /// The sandbox could not be made ready; the task that waited for it has been failed.
    StartFailed,
    /// The running task ended and the agent waits for the next.
    Ended,
    /// The sandbox is of no more use: the process ended, the container is gone, the task was cut off.
    Lost,
    /// Nothing came for the idle timeout.
    IdledOut,
    /// A caller asked for it. Tasks that this ends have been ended.
    Stop(After),
    /// The sandbox is gone, and the volumes where they had to.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    StartSandbox,
    TakeOverSandbox,
    StartTask,
    /// Take down what is there or on its way.
    StopSandbox,
    /// The stop is complete: answer those who asked for it.
    Settle(After),
}

impl Input {
    /// The same, where the task that ended needs no sandbox any more and no other may follow it there.
    pub(crate) const fn after_the_end(self) -> Self {
        match self {
            Input::Ended | Input::StartFailed => Input::Lost,
            Input::Queued
            | Input::Begun
            | Input::Expected
            | Input::Left
            | Input::Started
            | Input::TakenOver
            | Input::Lost
            | Input::IdledOut
            | Input::Stop(_)
            | Input::Stopped => self,
        }
    }
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            State::Cold => "cold",
            State::Starting => "starting",
            State::Idle => "idle",
            State::Running => "running",
            State::Stopping(_) => "stopping",
        }
    }

    /// `waiting`: whether a task is in the queue.
    pub(crate) fn next(self, input: Input, waiting: bool) -> (State, Action) {
        use {Action as A, Input as I, State as S};
        let begin_or = |rest: State| if waiting { (S::Running, A::StartTask) } else { (rest, A::Nothing) };
        match (self, input) {
            (S::Cold, I::Queued | I::Expected) => (S::Starting, A::StartSandbox),
            (S::Cold, I::Left) => (S::Starting, A::TakeOverSandbox),
            (S::Cold, I::Stop(after)) => (S::Stopping(after), A::StopSandbox),

            (S::Starting, I::Started) => begin_or(S::Idle),
            (S::Starting, I::TakenOver) => (S::Running, A::Nothing),
            (S::Starting, I::Lost) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Starting, I::StartFailed) if waiting => (S::Starting, A::StartSandbox),
            (S::Starting, I::StartFailed) => (S::Cold, A::Nothing),
            (S::Starting, I::Stop(after)) => (S::Stopping(after), A::StopSandbox),

            (S::Idle, I::Queued) => begin_or(S::Idle),
            (S::Idle, I::Begun) => (S::Running, A::Nothing),
            (S::Idle, I::IdledOut | I::Lost) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Idle, I::Stop(after)) => (S::Stopping(after), A::StopSandbox),

            (S::Running, I::Ended) => begin_or(S::Idle),
            (S::Running, I::Lost) => (S::Stopping(After::Rest), A::StopSandbox),
            (S::Running, I::Stop(after)) => (S::Stopping(after), A::StopSandbox),

            (S::Stopping(a), I::Stop(b)) => (S::Stopping(a.max(b)), A::Nothing),
            (S::Stopping(after), I::Stopped) => (S::Cold, A::Settle(after)),

            // What is left changes nothing: a task waits its turn in the queue, and news of a sandbox that is already
            // being taken down is old.
            (
                S::Cold,
                I::Begun | I::Started | I::TakenOver | I::StartFailed | I::Ended | I::Lost | I::IdledOut | I::Stopped,
            )
            | (S::Starting, I::Begun | I::Queued | I::Expected | I::Left | I::Ended | I::IdledOut | I::Stopped)
            | (S::Idle, I::Expected | I::Left | I::Started | I::TakenOver | I::StartFailed | I::Ended | I::Stopped)
            | (
                S::Running,
                I::Queued
                | I::Begun
                | I::Expected
                | I::Left
                | I::Started
                | I::TakenOver
                | I::StartFailed
                | I::IdledOut
                | I::Stopped,
            )
            | (
                S::Stopping(_),
                I::Queued
                | I::Begun
                | I::Expected
                | I::Left
                | I::Started
                | I::TakenOver
                | I::StartFailed
                | I::Ended
                | I::Lost
                | I::IdledOut,
            ) => (self, A::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Action, After, Input, State};

    fn inputs() -> impl Strategy<Value = Input> {
        let after = prop_oneof![Just(After::Rest), Just(After::Reset), Just(After::Delete)];
        prop_oneof![
            Just(Input::Queued),
            Just(Input::Begun),
            Just(Input::Expected),
            Just(Input::Left),
            Just(Input::Started),
            Just(Input::TakenOver),
            Just(Input::StartFailed),
            Just(Input::Ended),
            Just(Input::Lost),
            Just(Input::IdledOut),
            after.prop_map(Input::Stop),
            Just(Input::Stopped),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: tasks start one at a time, in a sandbox that was started, and a stop that
        /// was asked for is settled before anything new begins.
        #[test]
        fn one_task_at_a_time_in_a_live_sandbox(steps in proptest::collection::vec((inputs(), any::<bool>()), 0..200)) {
            let mut state = State::Cold;
            for (input, waiting) in steps {
                let before = state;
                let (after, action) = state.next(input, waiting);
                match action {
                    Action::StartTask => {
                        prop_assert!(waiting);
                        prop_assert!(matches!(before, State::Starting | State::Idle | State::Running));
                        prop_assert!(before != State::Running || input == Input::Ended);
                        prop_assert_eq!(after, State::Running);
                    }
                    Action::StartSandbox => prop_assert!(matches!(before, State::Cold | State::Starting)),
                    Action::TakeOverSandbox => prop_assert_eq!(before, State::Cold),
                    Action::StopSandbox => prop_assert!(!matches!(before, State::Stopping(_))),
                    Action::Settle(_) => prop_assert_eq!(after, State::Cold),
                    Action::Nothing => prop_assert!(
                        after != State::Running
                            || before == State::Running
                            || (before == State::Starting && input == Input::TakenOver)
                            || (before == State::Idle && input == Input::Begun)
                    ),
                }
                if let (State::Stopping(asked), false) = (before, input == Input::Stopped) {
                    prop_assert!(matches!(after, State::Stopping(now) if now >= asked));
                }
                state = after;
            }
        }
    }

    #[test]
    fn a_delete_outranks_a_reset_and_a_rest() {
        let (state, action) = State::Running.next(Input::Lost, true);
        assert_eq!((state, action), (State::Stopping(After::Rest), Action::StopSandbox));
        let (state, _) = state.next(Input::Stop(After::Delete), true);
        let (state, _) = state.next(Input::Stop(After::Reset), true);
        assert_eq!(state.next(Input::Stopped, true), (State::Cold, Action::Settle(After::Delete)));
    }
}
