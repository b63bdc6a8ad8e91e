use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::faults::Faults;
use self::volume::Volume;
use crate::{ContainerExit, ContainerId, ContainerSpec, EngineError, ImageInfo, Labels, Operation};

mod engine;
mod faults;
mod volume;

/// An engine in memory, for tests. It keeps the contract of [`Engine`](crate::Engine), including the archives that go
/// into and out of volumes, but no process runs. A container runs from [`start`](crate::Engine::start) until the test
/// calls [`exit`](FakeEngine::exit) or the container is removed; one with an entry point of its own writes
/// [`says`](FakeEngine::says) and exits at once. [`on_start`](FakeEngine::on_start) gives a container
/// behaviour. A test can make any call fail or hang. Clones share one engine.
#[derive(Clone)]
pub struct FakeEngine {
    world: Arc<Mutex<World>>,
    faults: Arc<Faults>,
}

/// A recorded call, successful or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub operation: Operation,
    /// The container, volume or image; empty if the call has none.
    pub name: String,
}

/// A container that has just started.
#[derive(Debug, Clone)]
pub struct Started {
    pub id: ContainerId,
    pub spec: ContainerSpec,
}

type StartHook = Arc<dyn Fn(Started) + Send + Sync>;

#[derive(Default)]
struct World {
    next_id: u64,
    calls: Vec<Call>,
    images: BTreeMap<String, ImageInfo>,
    volumes: BTreeMap<String, Volume>,
    containers: BTreeMap<ContainerId, Container>,
    start_hook: Option<StartHook>,
    /// The output of a container with an entry point of its own.
    output: String,
    /// By the id of an image.
    histories: BTreeMap<String, Vec<String>>,
    image_changes: watch::Sender<()>,
    /// See [`FakeEngine::spare_own_entry_points`].
    spares_own_entry_points: bool,
}

struct Container {
    spec: ContainerSpec,
    image_id: String,
    phase: watch::Sender<Phase>,
    log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    Running,
    Exited(ContainerExit),
}

impl FakeEngine {
    /// An engine that contains only an image for each of these names.
    pub fn new(images: &[&str]) -> Self {
        let engine = Self { world: Arc::default(), faults: Arc::default() };
        for image in images {
            engine.add_image(image, Labels::new());
        }
        engine
    }

    /// Adds an image.
    pub fn add_image(&self, reference: &str, labels: Labels) {
        self.world().add_image(reference, labels);
    }

    /// Calls `hook` for every container without an entry point of its own that starts from now on, within the call of `start`. It must not block.
    pub fn on_start(&self, hook: impl Fn(Started) + Send + Sync + 'static) {
        self.world().start_hook = Some(Arc::new(hook));
    }

    /// Sets the output of every container that has an entry point of its own: it writes this and exits with 0.
    pub fn says(&self, output: &str) {
        output.clone_into(&mut self.world().output);
    }

    /// Adds an image that was built from another one and inherits its labels.
    pub fn add_child_image(&self, reference: &str, parent: &str) {
        let mut world = self.world();
        let labels = world.images.get(parent).map(|image| image.labels.clone()).unwrap_or_default();
        let id = world.add_image(reference, labels);
        world.histories.insert(id, vec!["RUN true".to_owned()]);
    }

    /// Ends a running container as if its first process had exited. It has no effect on a container that does not run.
    pub fn exit(&self, id: &ContainerId, exit: ContainerExit) {
        if let Some(container) = self.world().containers.get(id) {
            container.end(exit);
        }
    }

    /// Appends to the stderr of the container's first process.
    pub fn write_log(&self, id: &ContainerId, text: &str) {
        if let Some(container) = self.world().containers.get_mut(id) {
            container.log.push_str(text);
        }
    }

    /// Makes the next call of this operation fail with this error before it has an effect. Several errors are used in
    /// order.
    pub fn fail_next(&self, operation: Operation, error: EngineError) {
        self.faults.fail_next(operation, error);
    }

    /// Forgets the errors of [`fail_next`](FakeEngine::fail_next) that no call has met.
    pub fn clear_failures(&self) {
        self.faults.clear_failures();
    }

    /// Makes every call fail as unreachable until [`come_back`](FakeEngine::come_back). Containers keep running.
    /// Pending waits fail at once.
    pub fn go_away(&self) {
        self.faults.set_away(true);
    }

    /// Ends [`go_away`](FakeEngine::go_away).
    pub fn come_back(&self) {
        self.faults.set_away(false);
    }

    /// Blocks every call of this operation before it has an effect, until [`release`](FakeEngine::release).
    pub fn hang(&self, operation: Operation) {
        self.faults.hang(operation);
    }

    /// From now on, calls that concern a container with an entry point of its own are not recorded and do not fail or hang.
    pub fn spare_own_entry_points(&self) {
        self.world().spares_own_entry_points = true;
    }

    /// Ends [`hang`](FakeEngine::hang).
    pub fn release(&self, operation: Operation) {
        self.faults.release(operation);
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// The specification of a container.
    pub fn spec(&self, id: &ContainerId) -> Option<ContainerSpec> {
        self.world().containers.get(id).map(|container| container.spec.clone())
    }

    /// The content of a file in a volume, as an agent in the container would read it. `path` is relative to the volume.
    pub fn read_file(&self, volume: &str, path: &str) -> Option<Vec<u8>> {
        self.world().volumes.get(volume)?.read(path)
    }

    /// The names of the volumes that have all of these labels. It is no call, so it never fails.
    pub fn volumes_with(&self, labels: &Labels) -> Vec<String> {
        let world = self.world();
        let matching = world
            .volumes
            .iter()
            .filter(|(_, volume)| labels.iter().all(|(name, value)| volume.labels.get(name) == Some(value)));
        matching.map(|(name, _)| name.clone()).collect()
    }

    /// Writes a file in a volume, as an agent in the container would. It has no effect if the volume does not exist.
    pub fn write_file(&self, volume: &str, path: &str, content: &[u8]) {
        if let Some(volume) = self.world().volumes.get_mut(volume) {
            volume.write(path, content);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked while it held the lock has already failed.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn add_image(&mut self, reference: &str, labels: Labels) -> String {
        self.next_id += 1;
        let id = format!("sha256:{:064x}", self.next_id);
        let image = ImageInfo { id: id.clone(), labels, size_bytes: 1, created: None };
        self.histories.insert(id.clone(), image.labels.keys().map(|label| format!("LABEL {label}")).collect());
        self.images.insert(reference.to_owned(), image);
        self.image_changes.send_replace(());
        id
    }

    /// Finds a container by id or by name, as the real engine does.
    fn find(&self, id: &ContainerId) -> Option<(&ContainerId, &Container)> {
        self.containers.iter().find(|(known, container)| *known == id || container.spec.name == id.as_str())
    }
}

impl Container {
    fn end(&self, exit: ContainerExit) {
        self.phase.send_if_modified(|phase| {
            let runs = *phase == Phase::Running;
            if runs {
                *phase = Phase::Exited(exit);
            }
            runs
        });
    }
}
