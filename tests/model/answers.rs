//! Records the coordinator's answers on the board.

use domain::event::StoredEvent;
use domain::session::{SessionId, SessionKey};
use domain::task::{TaskId, TaskRecord};
use sessions::registry::{Registry, RegistryError};
use sessions::session::Until;

use crate::board::{Board, Life, State};

pub(crate) async fn wait(registry: &Registry, board: &Board, task: &TaskId) -> Result<(), String> {
    let record = registry.context().store.task(task).await.map_err(|error| error.to_string())?;
    let record = record.ok_or_else(|| format!("the accepted task {task} is not in the store"))?;
    match registry.wait(&record.session_id, task, Until::End).await {
        Ok(Some(record)) => {
            board.with(|state| state.told.insert(task.clone(), TaskRecord::clone(&record)));
            Ok(())
        }
        Ok(None) => Err(format!("the accepted task {task} is not known")),
        Err(_shutting_down) => Ok(()),
    }
}

/// Accepts a success, and a refusal because of a full disk.
pub(crate) fn done<T>(outcome: Result<T, RegistryError>, board: &Board) -> Result<(), String> {
    match outcome {
        Ok(_) => Ok(()),
        Err(RegistryError::Store(_)) if board.with(|state| state.disk_was_full) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the session's life that an event belongs to. The first event of each life is about a task, which outlives its session.
pub(crate) async fn key_of(registry: &Registry, event: &[u8]) -> Option<SessionKey> {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    let task = event["taskId"].as_str()?.parse().ok()?;
    Some(registry.context().store.task(&task).await.ok()??.session)
}

/// Joins a subscriber's events with those that another subscriber received before the coordinator was killed.
pub(crate) fn record(state: &mut State, key: SessionKey, session: &SessionId, seen: &[StoredEvent]) {
    let life = state.lives.entry(key).or_insert_with(|| Life { session: session.clone(), events: Vec::new() });
    let both = life.events.len().min(seen.len());
    if life.events[..both] != seen[..both] {
        state.violations.push(format!("the events of {session} are not those that were seen before"));
    }
    if seen.len() > both {
        life.events.extend_from_slice(&seen[both..]);
    }
}
