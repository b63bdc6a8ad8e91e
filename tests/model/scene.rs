//! A play from beginning to end. Sessions are observed all the time. At the end, all faults are removed, the tasks finish, and the
//! sessions are checked and deleted.

use std::collections::BTreeMap;

use domain::session::SessionId;
use domain::task::{TaskId, TaskRecord};
use engine::Operation;
use sessions::session::Until;
use store::{Answers, TaskFilter};

use crate::agent::Command;
use crate::board::PATIENCE;
use crate::promises;
use crate::settings::Settings;
use crate::world::World;

const HANGING: [Operation; 8] = [
    Operation::CreateVolume,
    Operation::CreateContainer,
    Operation::Upload,
    Operation::Start,
    Operation::RemoveContainer,
    Operation::RemoveVolume,
    Operation::ListVolumes,
    Operation::WaitContainer,
];

pub(crate) struct Scene {
    pub(crate) world: World,
    sessions: Vec<SessionId>,
}

impl Scene {
    pub(crate) fn new(settings: Settings, sessions: &[SessionId]) -> Self {
        let scene = Scene { world: World::new(settings), sessions: sessions.to_vec() };
        scene.watch();
        scene
    }

    /// Kills the coordinator and starts it again.
    pub(crate) fn restart(&mut self) {
        self.world.crash();
        self.begin_again();
    }

    pub(crate) fn begin_again(&mut self) {
        self.world.start();
        self.watch();
    }

    /// Ends the play. Returns each broken promise and each finding of `judge` about an ended task.
    pub(crate) fn end(mut self, judge: impl Fn(&TaskRecord) -> Option<String>) -> Vec<String> {
        self.heal();
        let mut broken = Vec::new();
        if !self.world.board.until(PATIENCE, |state| state.asked.is_empty()) {
            broken.push(format!("not answered: {:?}", self.world.board.with(|state| state.asked.clone())));
        }
        // This includes tasks without a waiting caller, because the coordinator was killed before it answered.
        for record in self.records().into_values().filter(|record| !record.status.is_final()) {
            let registry = self.world.registry_of();
            drop(self.world.now(registry.wait(&record.session_id, &record.id, Until::End)));
        }
        let records = self.records();
        self.seen_to_the_end();
        broken.extend(self.world.board.with(|state| promises::broken(state, &records)));
        for record in records.values() {
            if !record.status.is_final() {
                broken.push(format!("{:?} is {} in the end", record.request.message, record.status.as_str()));
            }
            broken.extend(judge(record));
        }
        if broken.is_empty() {
            broken.extend(self.delete_everything());
        }
        broken
    }

    /// Removes all faults. Agents answer at once from here on.
    fn heal(&mut self) {
        self.world.engine.come_back();
        self.release_all();
        self.world.fill_disk(false);
        self.world.board.with(|state| state.finish_all = true);
        let live = self.world.board.with(|state| {
            let live = state.sandboxes.values().filter(|entry| !entry.ended);
            live.map(|entry| entry.commands.clone()).collect::<Vec<_>>()
        });
        for commands in live {
            let _ = commands.try_send(Command::Return);
            let _ = commands.try_send(Command::Finish);
        }
    }

    fn release_all(&self) {
        for operation in HANGING {
            self.world.engine.release(operation);
        }
    }

    /// Shuts the coordinator down and starts it again.
    pub(crate) fn shut_down(&mut self) {
        // A real engine answers within the bound of each call.
        self.release_all();
        self.world.shut_down();
        self.begin_again();
    }

    /// Waits until all subscribers have the events in the store.
    fn seen_to_the_end(&self) {
        let registry = self.world.registry_of();
        let store = &registry.context().store;
        for session in &self.sessions {
            let Some(record) = self.world.now(store.session(session)).unwrap() else { continue };
            let bounds = self.world.now(store.bounds(record.key)).unwrap();
            let latest = bounds.map_or(0, |bounds| usize::try_from(bounds.latest).unwrap());
            let seen = self
                .world
                .board
                .until(PATIENCE, |state| state.lives.get(&record.key).is_some_and(|life| life.events.len() >= latest));
            if !seen {
                let said = format!("the {latest} events of {session} were not all seen");
                self.world.board.with(|state| state.violations.push(said));
            }
        }
    }

    fn records(&self) -> BTreeMap<TaskId, TaskRecord> {
        let registry = self.world.registry_of();
        let tasks =
            self.world.now(registry.context().store.tasks(&TaskFilter::default(), Answers::Whole, None, 1000)).unwrap();
        tasks.items.into_iter().map(|record| (record.id.clone(), record)).collect()
    }

    /// Deletes all sessions and checks that nothing of them remains.
    fn delete_everything(&mut self) -> Vec<String> {
        for session in self.sessions.clone() {
            self.world.delete(&session);
        }
        if !self.world.board.until(PATIENCE, |state| state.asked.is_empty()) {
            return vec!["the sessions were not deleted".to_owned()];
        }
        // Unused injected faults would affect the check below.
        self.world.engine.clear_failures();
        self.world.remove_orphans();
        if std::mem::take(&mut self.world.settings.warm) > 0 {
            // The coordinator removes its warm sandboxes. The maintenance removes those of a killed coordinator.
            self.world.shut_down();
            self.world.start();
            self.world.remove_all_orphans();
        }
        self.world.remaining().into_iter().map(|left| format!("left behind: {left}")).collect()
    }

    fn watch(&self) {
        for session in &self.sessions {
            self.world.observe(session);
        }
    }
}
