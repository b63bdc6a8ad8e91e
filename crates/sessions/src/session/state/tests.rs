use proptest::prelude::*;

use super::{Action, After, Input, State};

fn inputs() -> impl Strategy<Value = Input> {
    let after = prop_oneof![Just(After::Rest), Just(After::Reset), Just(After::Delete)];
    prop_oneof![
        Just(Input::Queued),
        Just(Input::Begun),
        Just(Input::Expected),
        Just(Input::Found),
        Just(Input::Started),
        Just(Input::Reattached),
        Just(Input::StartFailed),
        Just(Input::LaunchLost),
        Just(Input::Ended),
        Just(Input::EndedYielding),
        Just(Input::EvictionRequested),
        Just(Input::Lost),
        Just(Input::IdledOut),
        after.prop_map(Input::Stop),
        Just(Input::TakenDown),
        Just(Input::Wiped),
    ]
}

/// The spawned work that the actions so far started and the inputs so far did not report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Launch,
    Removal,
    Wiping,
}

impl UnderWay {
    /// Returns the work after an input that may report its end.
    fn reported(self, state: State, input: Input) -> Self {
        match (self, input) {
            (UnderWay::Launch, Input::Started | Input::Reattached | Input::StartFailed) if state == State::Starting => {
                UnderWay::Nothing
            }
            (UnderWay::Launch, Input::LaunchLost)
            | (UnderWay::Removal, Input::TakenDown)
            | (UnderWay::Wiping, Input::Wiped) => UnderWay::Nothing,
            _ => self,
        }
    }

    /// Returns the work after an action. Each action requires that no other work is in progress.
    fn apply(self, action: Action) -> Result<Self, TestCaseError> {
        let started = match action {
            Action::StartTask | Action::Nothing => return Ok(self),
            Action::CancelLaunch => {
                prop_assert_eq!(self, UnderWay::Launch);
                return Ok(self);
            }
            Action::StartSandbox | Action::ReattachSandbox => UnderWay::Launch,
            Action::StopSandbox => UnderWay::Removal,
            Action::RemoveStorage => UnderWay::Wiping,
            Action::Settle(_) => UnderWay::Nothing,
        };
        prop_assert_eq!(self, UnderWay::Nothing);
        Ok(started)
    }

    const fn of(state: State) -> Self {
        match state {
            State::Starting | State::Cancelling(_) => UnderWay::Launch,
            State::Stopping(_) => UnderWay::Removal,
            State::Wiping(_) => UnderWay::Wiping,
            State::Cold | State::Idle | State::Evicting | State::Running => UnderWay::Nothing,
        }
    }
}

proptest! {
    /// Checks any order of inputs: tasks start one at a time, in a sandbox that was started and is not being evicted; a stop is
    /// settled before anything starts; at most one launch, removal or wiping is in progress.
    #[test]
    fn one_task_at_a_time_in_a_live_sandbox(steps in proptest::collection::vec((inputs(), any::<bool>()), 0..200)) {
        let mut state = State::Cold;
        let mut under_way = UnderWay::Nothing;
        for (input, ready) in steps {
            let before = state;
            let (after, action) = state.next(input, ready);
            under_way = under_way.reported(before, input).apply(action)?;
            prop_assert_eq!(under_way, UnderWay::of(after));
            match action {
                Action::StartTask => {
                    prop_assert!(ready);
                    prop_assert!(matches!(before, State::Starting | State::Idle | State::Running));
                    prop_assert!(before != State::Running || input == Input::Ended);
                    prop_assert_eq!(after, State::Running);
                }
                Action::StartSandbox => prop_assert!(matches!(before, State::Cold | State::Starting)),
                Action::ReattachSandbox => prop_assert_eq!(before, State::Cold),
                Action::CancelLaunch => prop_assert_eq!(before, State::Starting),
                Action::StopSandbox => prop_assert!(matches!(after, State::Stopping(_))),
                Action::RemoveStorage => prop_assert!(matches!(before, State::Stopping(After::Reset | After::Delete))),
                Action::Settle(purpose) => {
                    prop_assert_eq!(after, State::Cold);
                    prop_assert_eq!(purpose != After::Rest, matches!(before, State::Wiping(_)));
                }
                Action::Nothing => prop_assert!(
                    after != State::Running
                        || before == State::Running
                        || (before == State::Starting && input == Input::Reattached)
                        || (before == State::Idle && input == Input::Begun)
                ),
            }
            if let (Some(asked), State::Cancelling(_) | State::Stopping(_) | State::Wiping(_)) = (before.stop(), after) {
                prop_assert!(after.stop() >= Some(asked));
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
    assert_eq!(state.next(Input::TakenDown, true), (State::Wiping(After::Delete), Action::RemoveStorage));
    let (state, _) = state.next(Input::TakenDown, true);
    assert_eq!(state.next(Input::Wiped, true), (State::Cold, Action::Settle(After::Delete)));
}

#[test]
fn a_sandbox_that_makes_room_takes_no_task_and_goes() {
    let (state, _) = State::Running.next(Input::EndedYielding, true);
    assert_eq!(state.next(Input::Queued, true), (State::Evicting, Action::Nothing));
    assert_eq!(state.next(Input::IdledOut, true), (State::Stopping(After::Rest), Action::StopSandbox));
}

#[test]
fn a_launch_that_is_called_off_is_taken_down_once_it_has_reported() {
    let (state, action) = State::Starting.next(Input::Stop(After::Rest), true);
    assert_eq!((state, action), (State::Cancelling(After::Rest), Action::CancelLaunch));
    assert_eq!(State::Starting.next(Input::Lost, true), (state, action));
    assert_eq!(state.next(Input::TakenDown, true), (state, Action::Nothing));
    assert_eq!(state.next(Input::LaunchLost, true), (State::Stopping(After::Rest), Action::StopSandbox));
}
