use std::time::Duration;

use bytes::BytesMut;
use engine::{ContainerExit, Engine as _, FakeEngine, Labels, Limits, Mount, Network};
use futures::SinkExt as _;
use sandbox::{LimitProof, SandboxSettings};
use sandbox_link::frame::{Hello, Up};
use tokio::net::UnixStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::check::{Check, Status};
use super::try_it;

fn settings() -> SandboxSettings {
    SandboxSettings {
        image: "agent".to_owned(),
        claude: agent_image::WantedVersion::Default,
        network: Network::None,
        limits: Limits::new(1 << 30, 1_000_000_000, 64),
        runtime: None,
        limit_proof: LimitProof::NotRequired,
        disk_bytes: 1 << 30,
        orphan_ttl: Duration::from_mins(1),
        files_idle: Duration::ZERO,
    }
}

async fn tried(engine: &FakeEngine) -> Check {
    let directory = tempfile::tempdir().unwrap();
    let check = try_it(engine, &settings(), directory.path(), &CancellationToken::new()).await;
    assert!(engine.list_containers(&Labels::new()).await.unwrap().is_empty(), "a container is left");
    check
}

#[tokio::test]
async fn a_container_that_says_hello_is_well() {
    let engine = FakeEngine::new(&["agent"]);
    let containers = TaskTracker::new();
    engine.on_start(move |started| {
        let Some(Mount::Directory { source, .. }) = started.spec.mounts.first().cloned() else { return };
        containers.spawn(async move {
            let stream = UnixStream::connect(source.join("agent.sock")).await.unwrap();
            let (mut socket, _) = client_async("ws://coordinator/agent", stream).await.unwrap();
            let mut hello = BytesMut::new();
            Up::Hello(Hello {
                version: sandbox_link::PROTOCOL_VERSION,
                secret: None,
                last_received: 0,
                running: false,
            })
            .encode(&mut hello);
            socket.send(Message::Binary(hello.freeze())).await.unwrap();
        });
    });
    assert_eq!(tried(&engine).await.status, Status::Ok);
}

#[tokio::test]
async fn one_that_ends_or_is_not_made_is_told_and_not_left() {
    let engine = FakeEngine::new(&["agent"]);
    let ending = engine.clone();
    engine.on_start(move |started| ending.exit(&started.id, ContainerExit::Exited { code: 1, oom_killed: false }));
    let check = tried(&engine).await;
    assert_eq!(check.status, Status::Fail);
    assert!(check.detail.contains("exit code 1"), "{}", check.detail);

    let check = tried(&FakeEngine::new(&[])).await;
    assert_eq!((check.status, check.detail.as_str()), (Status::Fail, "the image agent does not exist"));
}
