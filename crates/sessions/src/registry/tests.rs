//! A session that is deleted between being read and being given a worker.

use std::time::Duration;

use domain::agent::AgentName;
use domain::session::SessionKey;
use engine::{FakeEngine, Limits, Network};
use gateway::{Credentials, Gateway, GatewaySettings, Prices};
use jiff::Timestamp;
use observe::metrics::Metrics;
use observe::telemetry::Telemetry;
use sandbox::capacity::{Capacity, FEW_SANDBOXES, MemoryGauge};
use sandbox::{Instance, LimitProof, Links, SandboxHost, SandboxSettings, WarmPool, WarmSettings};
use store::{Change, Store, StoreOptions};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::session::{Feed, SessionSettings};

async fn registry(directory: &std::path::Path) -> Registry {
    let (engine, tracker, shutdown) = (FakeEngine::new(&["image"]), TaskTracker::new(), CancellationToken::new());
    let upstream = GatewaySettings::new("http://127.0.0.1:9".parse().unwrap(), Prices::load(None).unwrap());
    let gateway = Gateway::new(upstream, Credentials::new(None, None), tracker.clone()).unwrap();
    let runtime_dir = directory.join("run");
    let links = Links::open(Network::None, &engine, &runtime_dir, tracker.clone(), shutdown.clone()).await.unwrap();
    let store = Store::open(directory, StoreOptions::default()).unwrap();
    let settings = SandboxSettings {
        image: "image".to_owned(),
        claude: agent_image::WantedVersion::Default,
        network: Network::None,
        limits: Limits::new(1 << 30, 1_000_000_000, 100),
        disk_bytes: 1 << 30,
        runtime: None,
        limit_proof: LimitProof::NotRequired,
        orphan_ttl: Duration::from_hours(1),
        files_idle: Duration::ZERO,
    };
    let instance = Instance::of(directory).unwrap();
    let host = Arc::new(SandboxHost::new(Arc::new(engine), links, gateway, instance, settings, tracker.clone()));
    let capacity = Capacity::new(FEW_SANDBOXES, MemoryGauge::Unknown);
    let warm = WarmSettings { count: 0, model: "claude-haiku-4-5".to_owned(), agent_dir: directory.join("agent") };
    let (warm, _) = WarmPool::new(warm, Arc::clone(&host), capacity.clone(), tracker.clone(), shutdown.clone());
    Registry::new(Arc::new(SessionContext {
        store,
        sandboxes: host,
        capacity,
        warm,
        redactor: Arc::default(),
        feed: Feed::default(),
        metrics: Metrics::default(),
        telemetry: Telemetry::default(),
        repositories: None,
        settings: SessionSettings {
            max_queue: 5,
            idle_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_mins(1),
            agent_dir: directory.join("agent"),
            hand_off: false,
            capacity_timeout: Duration::from_mins(1),
            orphan_volume_grace: Duration::ZERO,
            model: "claude-haiku-4-5".to_owned(),
        },
        tracker,
        draining: CancellationToken::new(),
        shutdown,
    }))
}

fn at_rest(id: &SessionId) -> SessionRecord {
    SessionRecord {
        epoch: domain::session::Epoch::from_number(1),
        agent: AgentName::default(),
        key: SessionKey::generate(),
        id: id.clone(),
        created: Timestamp::now(),
        last_active: Timestamp::now(),
        turns: 1,
        claude_session_id: None,
        env: [].into(),
        last_seq: 0,
        sandbox: None,
        repository: None,
    }
}

#[tokio::test]
async fn what_was_read_of_a_session_before_its_deletion_starts_no_worker() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(directory.path()).await;
    let id: SessionId = "s".parse().unwrap();
    registry.context.store.commit(vec![Change::InsertSession(at_rest(&id))]).await.unwrap();

    let found = registry.read(&id).await.unwrap();
    registry.delete(&id).await.unwrap();
    while !registry.live.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(registry.live_or(&id, found).is_none());
    assert!(registry.describe(&id).await.unwrap().is_none());

    // If no worker ended in between, it starts one.
    let found = registry.read(&id).await.unwrap();
    assert!(registry.live_or(&id, found).is_some());
}
