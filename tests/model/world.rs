//! A coordinator in this process, on an engine in memory, that can be killed and started again on the same data directory
//! while the sandboxes live on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use container_engine::{ContainerExit, ContainerId, Engine, FakeEngine, Labels, Limits, Network};
use coordinator::access::KeyLimits;
use coordinator::agent::AgentName;
use coordinator::event::StoredEvent;
use coordinator::gateway::{Credential, Credentials, Gateway, GatewaySettings, Prices};
use coordinator::registry::Registry;
use coordinator::sandbox::capacity::{Capacity, MemoryGauge};
use coordinator::sandbox::{Instance, Links, SandboxHost, SandboxSettings, WarmPool, WarmSettings};
use coordinator::session::{
    AbortMode, AbortScope, Feed, Frames, Page, SessionContext, SessionId, SessionSettings, Submission,
};
use coordinator::store::{Store, StoreOptions};
use coordinator::task::TaskRequest;
use coordinator::upkeep;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::Command;
use crate::answers::{done, key_of, record, wait};
use crate::board::{Board, PATIENCE, View};
use crate::sandbox::Sandbox;
use crate::settings::{Settings, Wish};

const IMAGE: &str = "claude-runner";
const MODEL: &str = "claude-sonnet-4-6";

pub(crate) struct World {
    pub(crate) board: Arc<Board>,
    pub(crate) engine: FakeEngine,
    pub(crate) settings: Settings,
    coordinator: Option<Coordinator>,
    questions: usize,
    next_task: usize,
    /// The sandboxes live here, whatever becomes of the coordinator.
    sandboxes: Option<Runtime>,
    directory: tempfile::TempDir,
}

struct Coordinator {
    runtime: Handle,
    /// Drives the runtime until it is told to stop: from then on nothing of the coordinator runs, in no order.
    driver: std::thread::JoinHandle<Runtime>,
    stop: CancellationToken,
    registry: Registry,
    shutdown: CancellationToken,
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
        let shutdown = CancellationToken::new();
        let registry = runtime.block_on(self.registry(shutdown.clone()));
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        let driver = std::thread::spawn(move || {
            runtime.block_on(stopped.cancelled());
            runtime
        });
        self.coordinator = Some(Coordinator { runtime: handle, driver, stop, registry, shutdown });
        // Those who were cut off come back.
        let unanswered = self.board.with(|state| {
            let tasks = state.tasks.iter().filter(|(_, task)| !state.told.contains_key(*task));
            tasks.map(|(number, task)| (*number, task.clone())).collect::<Vec<_>>()
        });
        for (number, task) in unanswered {
            let (board, registry) = (Arc::clone(&self.board), self.registry_of());
            self.ask(format!("wait for #{number}"), async move { wait(&registry, &board, &task).await });
        }
    }

    async fn registry(&self, shutdown: CancellationToken) -> Registry {
        let data_dir = self.directory.path().join("data");
        std::fs::create_dir_all(&data_dir).unwrap();
        let tracker = TaskTracker::new();
        let store = Store::open(&data_dir, StoreOptions::default()).unwrap();
        let upstream = "http://127.0.0.1:9".parse().unwrap();
        let gateway = Gateway::new(
            GatewaySettings::new(upstream, Prices::load(None).unwrap()),
            Credentials::new(Some(Credential::api_key("none").unwrap()), None),
            tracker.clone(),
        );
        let runtime_dir = self.directory.path().join("run");
        let links = Links::open(Network::None, &self.engine, &runtime_dir, tracker.clone(), shutdown.clone());
        let settings = SandboxSettings {
            image: IMAGE.to_owned(),
            network: Network::None,
            limits: Limits::new(1 << 30, 1_000_000_000, 100),
            runtime: None,
            disk_bytes: 1 << 30,
            orphan_ttl: Duration::from_hours(1),
        };
        let host = SandboxHost::new(
            Arc::new(self.engine.clone()),
            links.await.unwrap(),
            gateway.unwrap(),
            Instance::of(&data_dir).unwrap(),
            settings,
            tracker.clone(),
        );
        let host = Arc::new(host);
        let draining = CancellationToken::new();
        let capacity = Capacity::new(self.settings.max_sandboxes, MemoryGauge::Unknown);
        let agent_dir = self.directory.path().join("agent");
        let warm = WarmSettings { count: self.settings.warm, model: MODEL.to_owned(), agent_dir: agent_dir.clone() };
        let (warm, keep_warm) =
            WarmPool::new(warm, Arc::clone(&host), capacity.clone(), tracker.clone(), shutdown.clone());
        let registry = Registry::new(Arc::new(SessionContext {
            redactor: Arc::default(),
            feed: Feed::default(),
            metrics: coordinator::metrics::Metrics::default(),
            telemetry: coordinator::telemetry::Telemetry::default(),
            repositories: None,
            store,
            sandboxes: host,
            capacity,
            warm,
            settings: SessionSettings {
                max_queue: 5,
                idle_timeout: self.settings.idle_timeout,
                stall_timeout: self.settings.stall_timeout,
                agent_dir,
                hand_off: false,
                capacity_timeout: Duration::from_hours(1),
                model: MODEL.to_owned(),
            },
            tracker: tracker.clone(),
            draining,
            shutdown,
        }));
        registry.restore().await.unwrap();
        tracker.spawn(keep_warm);
        tracker.spawn(upkeep::run(registry.clone()));
        registry
    }

    /// As a `kill -9`: nothing is told to anyone, nothing is finished.
    pub(crate) fn crash(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.give_up_asking();
        coordinator.end();
    }

    /// As a SIGTERM that finds running tasks when its patience is over.
    pub(crate) fn shut_down(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.give_up_asking();
        let tracker = coordinator.registry.context().tracker.clone();
        coordinator.shutdown.cancel();
        tracker.close();
        let ended = coordinator.runtime.block_on(async { tokio::time::timeout(PATIENCE, tracker.wait()).await });
        coordinator.end();
        if ended.is_err() {
            self.board.with(|state| state.violations.push("the coordinator did not shut down".to_owned()));
        }
    }

    /// Who asks a coordinator that ends gets no answer, and asks the next one.
    fn give_up_asking(&self) {
        self.board.with(|state| state.asked.clear());
    }

    pub(crate) fn registry_of(&self) -> Registry {
        self.coordinator.as_ref().unwrap().registry.clone()
    }

    /// Runs something to its end on the coordinator, within the bound.
    pub(crate) fn now<T>(&self, future: impl Future<Output = T>) -> T {
        let coordinator = self.coordinator.as_ref().unwrap();
        let bounded = async { tokio::time::timeout(PATIENCE, future).await };
        coordinator.runtime.block_on(bounded).expect("this never happened")
    }

    /// Asks the coordinator something and does not wait for the answer. It has to come, though: see `asked`.
    fn ask(&mut self, what: String, answered: impl Future<Output = Result<(), String>> + Send + 'static) {
        self.questions += 1;
        let (question, board) = (self.questions, Arc::clone(&self.board));
        board.with(|state| state.asked.insert(question, what.clone()));
        self.coordinator.as_ref().unwrap().runtime.spawn(async move {
            let outcome = answered.await;
            board.with(|state| {
                // A server that goes away answers nothing; who asked asks its successor.
                if state.asked.remove(&question).is_some()
                    && let Err(error) = outcome
                {
                    state.violations.push(format!("{what}: {error}"));
                }
            });
        });
    }

    /// Posts a task and waits for its end, beside everything else. Gives the task's number.
    pub(crate) fn submit(&mut self, session: &SessionId, wish: Wish) -> usize {
        let number = self.next_task;
        self.next_task += 1;
        let request = TaskRequest {
            message: format!("{} #{number}", wish.word),
            context: None,
            model: MODEL.to_owned(),
            max_turns: 10,
            timeout_ms: u64::try_from(wish.timeout.as_millis()).unwrap(),
            max_cost_usd: None,
            retry: wish.retry,
            metadata: None,
            key: None,
            key_limits: KeyLimits::default(),
            repository: None,
            trace_parent: None,
        };
        let submission = Submission {
            task: None,
            agent: AgentName::default(),
            request,
            env: [].into(),
            needs: Vec::new(),
            idempotency: None,
            webhook: None,
        };
        let (board, registry, session) = (Arc::clone(&self.board), self.registry_of(), session.clone());
        self.ask(format!("submit #{number}"), async move {
            match registry.submit(&session, submission).await {
                Ok(accepted) => {
                    board.with(|state| state.tasks.insert(number, accepted.task.clone()));
                    wait(&registry, &board, &accepted.task).await
                }
                Err(error) => {
                    board.with(|state| state.refused.insert(number, error.to_string()));
                    Ok(())
                }
            }
        });
        number
    }

    /// Until the task has an answer: the first one, that it was accepted or refused.
    pub(crate) fn accepted(&self, number: usize) -> bool {
        let known =
            |state: &crate::board::State| state.tasks.contains_key(&number) || state.refused.contains_key(&number);
        self.board.until(PATIENCE, known);
        self.board.with(|state| state.tasks.contains_key(&number))
    }

    pub(crate) fn abort(&mut self, session: &SessionId, scope: AbortScope, mode: AbortMode) {
        let (registry, session) = (self.registry_of(), session.clone());
        self.ask(format!("abort {scope:?} {mode:?} in {session}"), async move {
            registry.abort(&session, scope, mode).await.map(drop).map_err(|error| error.to_string())
        });
    }

    pub(crate) fn reset(&mut self, session: &SessionId) {
        let (registry, session) = (self.registry_of(), session.clone());
        let board = Arc::clone(&self.board);
        self.ask(format!("reset {session}"), async move { done(registry.reset(&session).await, &board) });
    }

    pub(crate) fn delete(&mut self, session: &SessionId) {
        let (registry, session) = (self.registry_of(), session.clone());
        let board = Arc::clone(&self.board);
        self.ask(format!("delete {session}"), async move { done(registry.delete(&session).await, &board) });
    }

    /// Follows a session through all its lives, from their beginning.
    pub(crate) fn observe(&self, session: &SessionId) {
        let (registry, board, session) = (self.registry_of(), Arc::clone(&self.board), session.clone());
        self.coordinator.as_ref().unwrap().runtime.spawn(async move {
            while let Ok(subscription) = registry.subscribe(&session).await {
                let mut cursor = subscription.log.cursor(0);
                drop(subscription);
                let mut key = None;
                let mut seen = Vec::new();
                while let Ok(Page::Events(events)) = cursor.next().await {
                    seen.extend(stored(&events));
                    if key.is_none() {
                        key = key_of(&registry, &seen[0].json).await;
                    }
                    let Some(key) = key else { continue };
                    board.with(|state| record(state, key, &session, &seen));
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// Follows the session's present life from some point on.
    pub(crate) fn subscribe(&self, session: &SessionId, since: u64) {
        let (registry, board, session) = (self.registry_of(), Arc::clone(&self.board), session.clone());
        self.coordinator.as_ref().unwrap().runtime.spawn(async move {
            let Ok(subscription) = registry.subscribe(&session).await else { return };
            let since = since.min(subscription.log.latest());
            let mut cursor = subscription.log.cursor(since);
            drop(subscription);
            let view = board.with(|state| {
                state.views.push(View { since, events: Vec::new() });
                state.views.len() - 1
            });
            while let Ok(Page::Events(events)) = cursor.next().await {
                board.with(|state| state.views[view].events.extend(stored(&events)));
            }
        });
    }

    /// Tells the session's newest sandbox something, if it has one that lives.
    pub(crate) fn tell(&self, session: &SessionId, command: Command) -> Option<ContainerId> {
        let record = self.now(self.registry_of().context().store.session(session)).ok().flatten()?;
        let key = record.key.to_string();
        self.board.with(|state| {
            let mut entries =
                state.sandboxes.iter().filter(|(_, entry)| entry.workspace.contains(&key) && !entry.ended);
            let (container, entry) = entries.next_back()?;
            entry.commands.try_send(command).ok()?;
            Some(container.clone())
        })
    }

    /// Tells every sandbox that lives something, also while there is no coordinator.
    pub(crate) fn tell_all(&self, command: &Command) {
        self.board.with(|state| {
            for entry in state.sandboxes.values().filter(|entry| !entry.ended) {
                entry.commands.try_send(command.clone()).unwrap();
            }
        });
    }

    /// Ends the session's container, as the kernel or an operator might.
    pub(crate) fn kill_container(&self, session: &SessionId) {
        if let Some(container) = self.tell(session, Command::Die) {
            self.engine.exit(&container, ContainerExit::Exited { code: 137, oom_killed: false });
        }
    }

    /// Kills the coordinator, and all containers behind its back.
    pub(crate) fn kill_container_after_crash(&mut self) {
        self.crash();
        let containers = self.board.with(|state| {
            let live = state.sandboxes.iter().filter(|(_, entry)| !entry.ended);
            live.map(|(container, _)| container.clone()).collect::<Vec<_>>()
        });
        self.tell_all(&Command::Die);
        for container in containers {
            self.engine.exit(&container, ContainerExit::Exited { code: 137, oom_killed: false });
        }
    }

    /// Makes the store refuse to write events, or lets it again.
    pub(crate) fn fill_disk(&self, full: bool) {
        self.board.with(|state| state.disk_was_full |= full);
        let database = rusqlite::Connection::open(self.directory.path().join("data/claude-runner.db")).unwrap();
        let statement = if full {
            "CREATE TRIGGER IF NOT EXISTS full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END;"
        } else {
            "DROP TRIGGER IF EXISTS full;"
        };
        database.busy_timeout(PATIENCE).unwrap();
        database.execute_batch(statement).unwrap();
    }

    pub(crate) fn sweep(&self) {
        let registry = self.registry_of();
        self.now(registry.context().sandboxes.sweep_sandboxes()).unwrap();
    }

    /// As the coordinator does once a minute.
    pub(crate) fn sweep_everything(&self) {
        self.now(upkeep::sweep(&self.registry_of()));
    }

    /// What is in the engine and below RUNTIME_DIR.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let everything = Labels::new();
        let (containers, volumes) = self.now(async {
            (self.engine.list_containers(&everything).await, self.engine.list_volumes(&everything).await)
        });
        let links = std::fs::read_dir(self.directory.path().join("run")).unwrap();
        let links = links.map(|entry| format!("link {}", entry.unwrap().file_name().display()));
        let containers = containers.unwrap().into_iter().map(|container| format!("container {}", container.name));
        containers.chain(volumes.unwrap().into_iter().map(|name| format!("volume {name}"))).chain(links).collect()
    }

    /// The agent's memory of the session's conversation is gone.
    pub(crate) fn lose_transcript(&self, session: &SessionId) {
        let record = self.now(self.registry_of().context().store.session(session)).unwrap().unwrap();
        let home = format!("claude-runner-{}-home", record.key);
        self.engine.write_file(&home, &record.claude_session_id.unwrap(), b"gone");
    }
}

impl Coordinator {
    /// Stops it in the middle of whatever it does.
    fn end(self) {
        self.stop.cancel();
        let runtime = self.driver.join().unwrap();
        drop(self.registry);
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

fn stored(frames: &Frames) -> impl Iterator<Item = StoredEvent> {
    frames.events().map(|(seq, json)| StoredEvent { seq, json })
}
