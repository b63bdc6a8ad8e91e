//! Faults around the coordinator: ended containers, a full disk, a lost conversation.

use domain::session::{SessionId, SessionRecord};
use engine::{ContainerExit, ContainerId};

use super::World;
use crate::agent::Command;
use crate::board::PATIENCE;

impl World {
    /// Sends a command to the session's newest running sandbox, if there is one.
    pub(crate) fn tell(&self, session: &SessionId, command: Command) -> Option<ContainerId> {
        let record = self.now(self.registry_of().context().store.session(session)).ok().flatten()?;
        let workspaces = self.volumes(&record, "workspace");
        self.board.with(|state| {
            let mut entries =
                state.sandboxes.iter().filter(|(_, entry)| workspaces.contains(&entry.workspace) && !entry.ended);
            let (container, entry) = entries.next_back()?;
            entry.commands.try_send(command).ok()?;
            Some(container.clone())
        })
    }

    /// Sends a command to every running sandbox, even without a coordinator.
    pub(crate) fn tell_all(&self, command: &Command) {
        self.board.with(|state| {
            for entry in state.sandboxes.values().filter(|entry| !entry.ended) {
                entry.commands.try_send(command.clone()).unwrap();
            }
        });
    }

    /// Ends the session's container, like the kernel or an operator.
    pub(crate) fn kill_container(&self, session: &SessionId) {
        if let Some(container) = self.tell(session, Command::Die) {
            self.engine.exit(&container, ContainerExit::Exited { code: 137, oom_killed: false });
        }
    }

    /// Kills the coordinator, and then all containers.
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

    /// Makes the store refuse to write events, or accept them again.
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

    /// Deletes the agent's transcript of the session's conversation.
    pub(crate) fn lose_transcript(&self, session: &SessionId) {
        let record = self.now(self.registry_of().context().store.session(session)).unwrap().unwrap();
        for home in self.volumes(&record, "home") {
            self.engine.write_file(&home, record.claude_session_id.as_ref().unwrap(), b"gone");
        }
    }

    /// Returns the session's volumes of this kind, even while calls to the engine fail.
    fn volumes(&self, record: &SessionRecord, kind: &str) -> Vec<String> {
        let labels = [("claude-runner.session", record.key.to_string()), ("claude-runner.volume", kind.to_owned())];
        self.engine.volumes_with(&labels.map(|(name, value)| (name.to_owned(), value)).into())
    }
}
