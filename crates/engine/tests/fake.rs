//! Tests that the engine in memory keeps the contract and injects faults.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use contract::Fixture;
use engine::{
    Call, ContainerExit, ContainerId, ContainerSpec, Engine, EngineError, FakeEngine, Labels, Limits, Network,
    Operation,
};

struct Fake(FakeEngine);

#[async_trait]
impl Fixture for Fake {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.0.clone())
    }

    fn image_and_command(&self) -> (String, Vec<String>) {
        ("image".to_owned(), Vec::new())
    }

    async fn exit(&self, id: &ContainerId, code: i64) {
        self.0.exit(id, ContainerExit::Exited { code, oom_killed: false });
    }
}

fn fake() -> Fake {
    Fake(FakeEngine::new(&["image"]))
}

fn spec() -> ContainerSpec {
    ContainerSpec {
        name: "box".to_owned(),
        image: "image".to_owned(),
        labels: Labels::new(),
        entry_point: None,
        command: Vec::new(),
        environment: [].into(),
        mounts: Vec::new(),
        network: Network::None,
        limits: Limits::new(1 << 30, 1_000_000_000, 64),
        runtime: None,
        shared_directory: None,
    }
}

#[tokio::test]
async fn life_of_a_container() {
    contract::life_of_a_container(&fake()).await;
}

#[tokio::test]
async fn removing_ends_everything_and_may_be_repeated() {
    contract::removing_ends_everything_and_may_be_repeated(&fake()).await;
}

#[tokio::test]
async fn names_and_images() {
    contract::names_and_images(&fake()).await;
}

#[tokio::test]
async fn files_go_in_and_out() {
    contract::files_go_in_and_out(&fake()).await;
}

#[tokio::test]
async fn a_call_fails_once_before_it_does_anything() {
    let engine = FakeEngine::new(&["image"]);
    let error =
        EngineError::NoSpace { operation: Operation::CreateContainer, name: "box".into(), reason: "full".into() };
    engine.fail_next(Operation::CreateContainer, error.clone());

    assert_eq!(engine.create_container(&spec()).await, Err(error));
    assert_eq!(engine.list_containers(&Labels::new()).await, Ok(Vec::new()));
    assert!(engine.create_container(&spec()).await.is_ok());
    let create = Call { operation: Operation::CreateContainer, name: "box".to_owned() };
    let list = Call { operation: Operation::ListContainers, name: String::new() };
    assert_eq!(engine.calls(), [create.clone(), list, create]);
}

#[tokio::test]
async fn a_call_hangs_until_it_is_released() {
    let engine = FakeEngine::new(&["image"]);
    let id = engine.create_container(&spec()).await.unwrap();
    engine.hang(Operation::Start);

    let mut start = std::pin::pin!(engine.start(&id));
    assert!(futures::poll!(start.as_mut()).is_pending());
    assert!(!engine.inspect_container(&id).await.unwrap().unwrap().running);
    engine.release(Operation::Start);
    start.await.unwrap();
    assert!(engine.inspect_container(&id).await.unwrap().unwrap().running);
}

#[tokio::test]
async fn an_engine_that_goes_away_interrupts_waiting_and_keeps_its_containers() {
    let engine = FakeEngine::new(&["image"]);
    let id = engine.create_container(&spec()).await.unwrap();
    engine.start(&id).await.unwrap();

    let mut wait = std::pin::pin!(engine.wait_container(&id));
    assert!(futures::poll!(wait.as_mut()).is_pending());
    engine.go_away();
    assert!(matches!(wait.await, Err(EngineError::Unreachable { .. })));
    assert!(matches!(engine.info().await, Err(EngineError::Unreachable { .. })));
    engine.come_back();
    assert!(engine.inspect_container(&id).await.unwrap().unwrap().running);
}

#[tokio::test]
async fn the_hook_sees_what_is_started() {
    let engine = FakeEngine::new(&["image"]);
    let exits = engine.clone();
    engine.on_start(move |started| {
        assert_eq!(started.spec, spec());
        exits.write_log(&started.id, "cannot connect\n");
        exits.exit(&started.id, ContainerExit::Exited { code: 3, oom_killed: false });
    });

    let id = engine.create_container(&spec()).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(engine.wait_container(&id).await, Ok(ContainerExit::Exited { code: 3, oom_killed: false }));
    assert_eq!(engine.logs(&id, 8).await.unwrap(), "connect\n");
}
