//! The vocabulary of the directed tests: actions and conditions to wait for.

use std::time::{Duration, Instant};

use domain::session::SessionId;
use domain::task::{ErrorType, TaskId, TaskRecord, TaskStatus};
use engine::Operation;
use sessions::session::{AbortMode, AbortScope};

use crate::board::PATIENCE;
use crate::scene::Scene;
use crate::settings::{Settings, Wish};

/// The polling interval for state that announces no changes. It leaves the processor to the coordinator.
const LOOK: Duration = Duration::from_millis(1);

/// A play with one session.
pub(crate) struct Play {
    pub(crate) scene: Scene,
    pub(crate) session: SessionId,
}

impl Play {
    pub(crate) fn new(settings: Settings) -> Self {
        let session: SessionId = "s".parse().unwrap();
        Play { scene: Scene::new(settings, std::slice::from_ref(&session)), session }
    }

    /// Posts a task that must be accepted.
    pub(crate) fn submit(&mut self, word: &'static str) -> usize {
        self.wish(Wish::to(word))
    }

    pub(crate) fn wish(&mut self, wish: Wish) -> usize {
        let task = self.scene.world.submit(&self.session, wish);
        assert!(self.scene.world.accepted(task), "{:?}", self.scene.world.board.with(|state| state.refused.clone()));
        task
    }

    /// Posts a task without waiting for its acceptance.
    pub(crate) fn post(&mut self, word: &'static str) -> usize {
        self.scene.world.submit(&self.session, Wish::to(word))
    }

    pub(crate) fn abort(&mut self, scope: AbortScope, mode: AbortMode) {
        self.scene.world.abort(&self.session, scope, mode);
    }

    pub(crate) fn delete(&mut self) {
        self.scene.world.delete(&self.session);
    }

    pub(crate) fn hang(&self, operation: Operation) {
        self.scene.world.engine.hang(operation);
    }

    pub(crate) fn release(&self, operation: Operation) {
        self.scene.world.engine.release(operation);
    }

    /// Waits until the coordinator called this operation of the engine.
    pub(crate) fn called(&self, operation: Operation) {
        let end = Instant::now() + PATIENCE;
        while !self.scene.world.engine.calls().iter().any(|call| call.operation == operation) {
            assert!(Instant::now() < end, "{operation:?} was never called");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until no sandbox is connected.
    pub(crate) fn left(&self) {
        assert!(self.scene.world.board.until(PATIENCE, |state| state.sandboxes.values().all(|entry| entry.away)));
    }

    /// Waits until this many sandboxes are warm.
    pub(crate) fn warm(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.scene.world.registry_of().context().warm.ready() != count {
            assert!(Instant::now() < end, "there were never {count} warm sandboxes");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until an agent works on the task.
    pub(crate) fn open(&self, task: usize) {
        assert!(self.scene.world.board.until(PATIENCE, |state| state.open.contains(&task)));
    }

    /// Waits until a subscriber received an event of the agent for the task.
    pub(crate) fn received(&self, task: usize) {
        let id = format!("\"taskId\":\"{}\"", self.id(task));
        let seen = self.scene.world.board.until(PATIENCE, |state| {
            let mut events = state.lives.values().flat_map(|life| &life.events);
            events.any(|event| {
                let json = String::from_utf8_lossy(&event.json);
                json.contains("\"type\":\"text\"") && json.contains(&id)
            })
        });
        assert!(seen);
    }

    /// Waits until the session's progress in the store contains a text.
    pub(crate) fn written(&self, text: &str) {
        let registry = self.scene.world.registry_of();
        let end = Instant::now() + PATIENCE;
        loop {
            let record = self.scene.world.now(registry.context().store.session(&self.session)).unwrap().unwrap();
            let progress = record.sandbox.and_then(|sandbox| sandbox.progress).unwrap_or_default();
            if progress.contains(text) {
                return;
            }
            assert!(Instant::now() < end, "{progress}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until every caller has an answer.
    pub(crate) fn answered(&self) {
        assert!(self.scene.world.board.until(PATIENCE, |state| state.asked.is_empty()));
    }

    /// Waits until the caller of a deletion has an answer.
    pub(crate) fn settled_deletion(&self) {
        let settled = self
            .scene
            .world
            .board
            .until(PATIENCE, |state| !state.asked.values().any(|what| what.starts_with("delete")));
        assert!(settled);
    }

    pub(crate) fn told(&self, task: usize) -> TaskRecord {
        let id = self.id(task);
        assert!(self.scene.world.board.until(PATIENCE, |state| state.told.contains_key(&id)), "#{task} never ended");
        self.scene.world.board.with(|state| state.told[&id].clone())
    }

    pub(crate) fn status(&self, task: usize) -> TaskStatus {
        let record = self.told(task);
        assert!(record.failure.is_none(), "{:?}", record.failure);
        record.status
    }

    pub(crate) fn failure(&self, task: usize) -> ErrorType {
        self.told(task).failure.expect("it completed").error_type
    }

    pub(crate) fn id(&self, task: usize) -> TaskId {
        self.scene.world.board.with(|state| state.tasks[&task].clone())
    }

    /// Returns how many times an agent got the task's message.
    pub(crate) fn given(&self, task: usize) -> usize {
        self.scene.world.board.with(|state| state.given.iter().filter(|given| given.task == task).count())
    }

    pub(crate) fn end(self) {
        assert_eq!(self.scene.end(|_| None), Vec::<String>::new());
    }
}
