//! A coordinator in this process on an engine in memory. It can be killed and started again on the same data directory while the
//! sandboxes keep running.

mod calls;
mod faults;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coordinator::server::{Lifetime, Parts, Server};
use engine::{ContainerSummary, Engine, FakeEngine, Labels, Limits, Network};
use gateway::{Credential, Credentials, Gateway, GatewaySettings, Prices};
use sandbox::capacity::{Capacity, MemoryGauge};
use sandbox::{Instance, LimitProof, Links, SandboxSettings, WarmSettings};
use sessions::maintenance;
use sessions::registry::Registry;
use sessions::session::SessionSettings;
use store::{Store, StoreOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::answers::wait;
use crate::board::{Board, PATIENCE};
use crate::sandbox::Sandbox;
use crate::settings::Settings;

const IMAGE: &str = "claude-runner";
const MODEL: &str = "claude-sonnet-4-6";

pub(crate) struct World {
    pub(crate) board: Arc<Board>,
    pub(crate) engine: FakeEngine,
    pub(crate) settings: Settings,
    coordinator: Option<Coordinator>,
    questions: usize,
    next_task: usize,
    /// The runtime of the sandboxes, which outlives the coordinator.
    sandboxes: Option<Runtime>,
    directory: tempfile::TempDir,
}

struct Coordinator {
    runtime: Handle,
    /// Drives the coordinator's runtime. Once it stops, none of the coordinator's tasks runs any more.
    driver: std::thread::JoinHandle<Runtime>,
    stop: CancellationToken,
    server: Server,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let template = directory.path().join("agent");
        std::fs::create_dir(&template).unwrap();
        std::fs::write(template.join("AGENTS.md"), "You are a stand-in.").unwrap();
        if settings.schema {
            let schema = r#"{"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}"#;
            std::fs::write(template.join("OUTPUT.schema.json"), schema).unwrap();
        }
        let board = Arc::new(Board::default());
        let engine = FakeEngine::new(&[IMAGE]);
        let sandboxes = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (handle, spawner) = (sandboxes.handle().clone(), (engine.clone(), Arc::clone(&board)));
        engine.says("2.1.332 (Claude Code)\n");
        engine.on_start(move |started| {
            let (engine, board) = spawner.clone();
            handle.spawn(Sandbox::of(started, engine, board).run());
        });
        let mut world = World {
            board,
            engine,
            settings,
            coordinator: None,
            questions: 0,
            next_task: 0,
            sandboxes: Some(sandboxes),
            directory,
        };
        world.start();
        world
    }

    pub(crate) fn start(&mut self) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(self.server(Lifetime::default()));
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        let driver = std::thread::spawn(move || {
            runtime.block_on(stopped.cancelled());
            runtime
        });
        self.coordinator = Some(Coordinator { runtime: handle, driver, stop, server });
        // Callers without an answer repeat their requests.
        let unanswered = self.board.with(|state| {
            let tasks = state.tasks.iter().filter(|(_, task)| !state.told.contains_key(*task));
            tasks.map(|(number, task)| (*number, task.clone())).collect::<Vec<_>>()
        });
        for (number, task) in unanswered {
            let (board, registry) = (Arc::clone(&self.board), self.registry_of());
            self.ask(format!("wait for #{number}"), async move { wait(&registry, &board, &task).await });
        }
    }

    async fn server(&self, lifetime: Lifetime) -> Server {
        let data_dir = self.directory.path().join("data");
        std::fs::create_dir_all(&data_dir).unwrap();
        let tracker = lifetime.tracker.clone();
        let store = Store::open(&data_dir, StoreOptions::default()).unwrap();
        let upstream = "http://127.0.0.1:9".parse().unwrap();
        let gateway = Gateway::new(
            GatewaySettings::new(upstream, Prices::load(None).unwrap()),
            Credentials::new(Some(Credential::api_key("none").unwrap()), None),
            tracker.clone(),
        );
        let runtime_dir = self.directory.path().join("run");
        let links = Links::open(Network::None, &self.engine, &runtime_dir, tracker, lifetime.shutdown.clone());
        let sandbox = SandboxSettings {
            image: IMAGE.to_owned(),
            claude: agent_image::WantedVersion::Default,
            network: Network::None,
            limits: Limits::new(1 << 30, 1_000_000_000, 100),
            runtime: None,
            limit_proof: LimitProof::NotRequired,
            disk_bytes: 1 << 30,
            orphan_ttl: Duration::from_hours(1),
            files_idle: Duration::ZERO,
        };
        let agent_dir = self.directory.path().join("agent");
        let parts = Parts {
            store,
            engine: Arc::new(self.engine.clone()),
            links: links.await.unwrap(),
            gateway: gateway.unwrap(),
            instance: Instance::of(&data_dir).unwrap(),
            capacity: Capacity::new(self.settings.max_sandboxes, MemoryGauge::Unknown),
            sandbox,
            warm: WarmSettings { count: self.settings.warm, model: MODEL.to_owned(), agent_dir: agent_dir.clone() },
            sessions: SessionSettings {
                max_queue: 5,
                idle_timeout: self.settings.idle_timeout,
                stall_timeout: self.settings.stall_timeout,
                agent_dir,
                hand_off: false,
                capacity_timeout: Duration::from_hours(1),
                orphan_volume_grace: Duration::ZERO,
                model: MODEL.to_owned(),
            },
            repositories: None,
            redactor: Arc::default(),
            metrics: observe::metrics::Metrics::default(),
            telemetry: observe::telemetry::Telemetry::default(),
            lifetime,
        };
        // The failures of a play concern sandboxes, not the containers in which the image is asked for its version.
        self.engine.spare_own_entry_points();
        Server::build(parts).await.unwrap()
    }

    /// Acts like `kill -9`: no answer is sent and no work is finished.
    pub(crate) fn crash(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.give_up_asking();
        coordinator.end();
    }

    /// Acts like a SIGTERM whose grace period ends while tasks run.
    pub(crate) fn shut_down(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.give_up_asking();
        let Lifetime { tracker, draining, shutdown } = coordinator.server.lifetime.clone();
        draining.cancel();
        shutdown.cancel();
        tracker.close();
        let ended = coordinator.runtime.block_on(async { tokio::time::timeout(PATIENCE, tracker.wait()).await });
        coordinator.end();
        if ended.is_err() {
            self.board.with(|state| state.violations.push("the coordinator did not shut down".to_owned()));
        }
    }

    /// Drops the calls to an ending coordinator. Their callers repeat them with the next one.
    fn give_up_asking(&self) {
        self.board.with(|state| state.asked.clear());
    }

    pub(crate) fn registry_of(&self) -> Registry {
        self.coordinator.as_ref().unwrap().server.registry.clone()
    }

    /// Runs a future to its end on the coordinator, within the bound.
    pub(crate) fn now<T>(&self, future: impl Future<Output = T>) -> T {
        let coordinator = self.coordinator.as_ref().unwrap();
        let bounded = async { tokio::time::timeout(PATIENCE, future).await };
        coordinator.runtime.block_on(bounded).expect("this never happened")
    }

    pub(crate) fn remove_orphans(&self) {
        let registry = self.registry_of();
        self.now(registry.context().sandboxes.remove_orphans()).unwrap();
    }

    /// Runs the removal of orphans, which the coordinator does once a minute.
    pub(crate) fn remove_all_orphans(&self) {
        self.now(maintenance::remove_orphans(&self.registry_of()));
    }

    /// Returns everything that remains in the engine and below RUNTIME_DIR.
    pub(crate) fn remaining(&self) -> Vec<String> {
        let everything = Labels::new();
        let (containers, volumes) = self.now(async {
            (self.engine.list_containers(&everything).await, self.engine.list_volumes(&everything).await)
        });
        let links = std::fs::read_dir(self.directory.path().join("run")).unwrap();
        let links = links.map(Result::unwrap).filter(|entry| entry.path().is_dir());
        let links = links.map(|entry| format!("link {}", entry.file_name().display()));
        // A question to an image that a stop interrupts leaves its container to the next cleanup. It is no sandbox.
        let is_sandbox = |container: &ContainerSummary| !container.labels.contains_key("claude-runner.asked-by");
        let containers = containers.unwrap().into_iter().filter(is_sandbox);
        let containers = containers.map(|container| format!("container {}", container.name));
        containers
            .chain(volumes.unwrap().into_iter().map(|volume| format!("volume {}", volume.name)))
            .chain(links)
            .collect()
    }
}

impl Coordinator {
    /// Stops the runtime, whatever it is doing.
    fn end(self) {
        self.stop.cancel();
        let runtime = self.driver.join().unwrap();
        drop(self.server);
        runtime.shutdown_timeout(PATIENCE);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.crash();
        if let Some(sandboxes) = self.sandboxes.take() {
            sandboxes.shutdown_background();
        }
    }
}
