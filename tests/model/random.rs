//! Random sequences of actions of callers, agents, the engine, the disk, and of the coordinator's end.
//! MODEL_CASES sets the number of sequences. The default fits into a CI run.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::session::SessionId;
use domain::task::{ErrorType, TaskRecord, TaskStatus};
use engine::{EngineError, Operation};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestError, TestRunner};
use sessions::session::{AbortMode, AbortScope};

use crate::agent::Command;
use crate::scene::Scene;
use crate::settings::{Settings, Wish};

const CASES: u32 = 100;
const SESSIONS: usize = 2;
const STEPS: usize = 30;

/// The time that a waiting step gives the system to become idle.
const PAUSE: Duration = Duration::from_millis(150);

/// The timeout is shorter than the tests' patience and longer than an agent needs.
const SHORT_TASK: Duration = Duration::from_millis(300);

#[derive(Clone, Debug)]
enum Step {
    Submit(usize, Wish),
    /// Waits until an agent works or no work is left.
    Rest(usize),
    Tell(usize, Command),
    KillContainer(usize),
    Fail(Operation),
    Hang(Operation),
    Release(Operation),
    EngineAway,
    EngineBack,
    DiskFull,
    DiskHeals,
    Abort(usize, AbortMode),
    /// The task, by its index among the accepted tasks.
    AbortTask(usize, AbortMode),
    Reset(usize),
    Delete(usize),
    Subscribe(usize, u64),
    Crash,
    ShutDown,
}

#[test]
fn whatever_happens_the_promises_hold() {
    let cases = std::env::var("MODEL_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 150, ..Config::default() };
    let result = TestRunner::new(config).run(&(settings(), vec(step(), 1..STEPS)), |(settings, steps)| {
        let broken = play(settings, &steps);
        if broken.is_empty() { Ok(()) } else { Err(TestCaseError::fail(broken.join("\n"))) }
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (settings, steps))) => {
            let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?}")).collect();
            panic!("{reason}\nwith {settings:?} after\n{}", steps.join("\n"));
        }
        Err(abort @ TestError::Abort(_)) => panic!("{abort}"),
    }
}

fn play(settings: Settings, steps: &[Step]) -> Vec<String> {
    let sessions: Vec<SessionId> = (0..SESSIONS).map(|n| format!("s{n}").parse().unwrap()).collect();
    let mut scene = Scene::new(settings, &sessions);
    for step in steps {
        act(&mut scene, &sessions, step);
    }
    let allowed = allowed(settings, steps);
    scene.end(|record| judge(record, &allowed))
}

fn act(scene: &mut Scene, sessions: &[SessionId], step: &Step) {
    let world = &mut scene.world;
    match step {
        Step::Submit(session, wish) => {
            world.submit(&sessions[*session], *wish);
        }
        Step::Rest(session) => {
            let registry = world.registry_of();
            let board = std::sync::Arc::clone(&world.board);
            board.until(PAUSE, |state| !state.open.is_empty() || !registry.status(&sessions[*session]).busy);
        }
        Step::Tell(session, command) => {
            world.tell(&sessions[*session], command.clone());
        }
        Step::KillContainer(session) => world.kill_container(&sessions[*session]),
        Step::Fail(operation) => {
            let error = EngineError::Other {
                operation: *operation,
                name: "it".to_owned(),
                reason: "the test wants it to fail".to_owned(),
            };
            world.engine.fail_next(*operation, error);
        }
        Step::Hang(operation) => world.engine.hang(*operation),
        Step::Release(operation) => world.engine.release(*operation),
        Step::EngineAway => world.engine.go_away(),
        Step::EngineBack => world.engine.come_back(),
        Step::DiskFull => world.fill_disk(true),
        Step::DiskHeals => world.fill_disk(false),
        Step::Abort(session, mode) => world.abort(&sessions[*session], AbortScope::Session, *mode),
        Step::AbortTask(place, mode) => {
            let task = world.board.with(|state| {
                let accepted: Vec<_> = state.tasks.values().collect();
                (!accepted.is_empty()).then(|| accepted[place % accepted.len()].clone())
            });
            if let Some(task) = task {
                let registry = world.registry_of();
                let record = world.now(registry.context().store.task(&task)).unwrap().unwrap();
                world.abort(&record.session_id, AbortScope::Task(task), *mode);
            }
        }
        Step::Reset(session) => world.reset(&sessions[*session]),
        Step::Delete(session) => world.delete(&sessions[*session]),
        Step::Subscribe(session, since) => world.subscribe(&sessions[*session], *since),
        Step::Crash => scene.restart(),
        Step::ShutDown => scene.shut_down(),
    }
}

/// Returns the reasons for which a task may fail after these steps.
fn allowed(settings: Settings, steps: &[Step]) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    let mut allow = |error_type: ErrorType| {
        allowed.insert(format!("{error_type:?}"));
    };
    for step in steps {
        match step {
            Step::Submit(_, wish) => {
                if wish.timeout <= SHORT_TASK {
                    allow(ErrorType::Timeout);
                }
                if matches!(wish.word, "exit" | "garbage") {
                    allow(ErrorType::ExitCode);
                }
            }
            Step::Tell(_, Command::Exit(_) | Command::Garbage) => allow(ErrorType::ExitCode),
            Step::KillContainer(_) => {
                allow(ErrorType::ContainerLost);
                // The sandbox's start may fail.
                allow(ErrorType::ExitCode);
            }
            Step::Fail(_) | Step::Hang(_) | Step::EngineAway => {
                allow(ErrorType::EngineUnavailable);
                allow(ErrorType::ContainerLost);
            }
            Step::Abort(..) | Step::AbortTask(..) | Step::Reset(_) => allow(ErrorType::Aborted),
            Step::Delete(_) => allow(ErrorType::Deleted),
            Step::ShutDown => allow(ErrorType::Aborted),
            Step::Crash => allow(ErrorType::ContainerLost),
            Step::Tell(..)
            | Step::Rest(_)
            | Step::Release(_)
            | Step::EngineBack
            | Step::DiskFull
            | Step::DiskHeals
            | Step::Subscribe(..) => {}
        }
    }
    if settings.stall_timeout < Duration::from_mins(1) {
        allow(ErrorType::Stalled);
    }
    // All sessions are deleted at the end, after every task has ended.
    allowed
}

fn judge(record: &TaskRecord, allowed: &BTreeSet<String>) -> Option<String> {
    let failure = record.failure.as_ref()?;
    let error_type = format!("{:?}", failure.error_type);
    let wrong = record.status != TaskStatus::Completed && !allowed.contains(&error_type);
    wrong.then(|| {
        format!("{:?} ended as {error_type} ({}), for which there is no reason", record.request.message, failure.error)
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let idle_timeout = prop_oneof![3 => Just(Duration::from_hours(1)), 1 => Just(Duration::from_millis(20))];
    let stall_timeout = prop_oneof![3 => Just(Duration::from_hours(1)), 1 => Just(Duration::from_millis(400))];
    // The limit may be below the number of sessions, so that they take turns.
    let max_sandboxes = prop_oneof![2 => Just(100_usize), 1 => 1..=2_usize];
    let warm = prop_oneof![2 => Just(0_usize), 1 => 1..=2_usize];
    (idle_timeout, stall_timeout, max_sandboxes, warm).prop_map(|(idle_timeout, stall_timeout, max_sandboxes, warm)| {
        Settings { idle_timeout, stall_timeout, schema: false, max_sandboxes, warm }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 0..SESSIONS;
    let mode = || select(vec![AbortMode::Kill, AbortMode::Interrupt]);
    let operation = || {
        select(vec![
            Operation::CreateVolume,
            Operation::CreateContainer,
            Operation::Upload,
            Operation::Start,
            Operation::RemoveContainer,
            Operation::RemoveVolume,
            Operation::ListVolumes,
            Operation::WaitContainer,
        ])
    };
    let word = select(vec!["answer", "answer", "answer", "hold", "hold", "deaf", "exit", "garbage"]);
    let timeout = prop_oneof![5 => Just(Duration::from_hours(1)), 1 => Just(SHORT_TASK)];
    let wish = (word, timeout, 0..2_u32).prop_map(|(word, timeout, retry)| Wish { word, timeout, retry });
    let command = select(vec![
        Command::Finish,
        Command::Finish,
        Command::Exit(0),
        Command::Exit(1),
        Command::Garbage,
        Command::Cut,
    ]);
    prop_oneof![
        10 => (session(), wish).prop_map(|(session, wish)| Step::Submit(session, wish)),
        8 => session().prop_map(Step::Rest),
        6 => (session(), command).prop_map(|(session, command)| Step::Tell(session, command)),
        2 => session().prop_map(Step::KillContainer),
        2 => operation().prop_map(Step::Fail),
        1 => operation().prop_map(Step::Hang),
        2 => operation().prop_map(Step::Release),
        1 => Just(Step::EngineAway),
        2 => Just(Step::EngineBack),
        1 => Just(Step::DiskFull),
        2 => Just(Step::DiskHeals),
        3 => (session(), mode()).prop_map(|(session, mode)| Step::Abort(session, mode)),
        3 => (0..8_usize, mode()).prop_map(|(place, mode)| Step::AbortTask(place, mode)),
        2 => session().prop_map(Step::Reset),
        2 => session().prop_map(Step::Delete),
        2 => (session(), 0..30_u64).prop_map(|(session, since)| Step::Subscribe(session, since)),
        3 => Just(Step::Crash),
        1 => Just(Step::ShutDown),
    ]
}
