//! The calls of callers, and the streams of subscribers.

use std::future::Future;
use std::sync::Arc;

use domain::access::KeyLimits;
use domain::agent::AgentName;
use domain::event::StoredEvent;
use domain::session::SessionId;
use domain::task::TaskRequest;
use sessions::session::{AbortMode, AbortScope, Frames, Page, Submission};

use super::{MODEL, World};
use crate::answers::{done, key_of, record, wait};
use crate::board::{PATIENCE, State, View};
use crate::settings::Wish;

impl World {
    /// Starts a call to the coordinator without waiting for the answer. The answer must arrive: see `asked`.
    pub(super) fn ask(&mut self, what: String, answered: impl Future<Output = Result<(), String>> + Send + 'static) {
        self.questions += 1;
        let (question, board) = (self.questions, Arc::clone(&self.board));
        board.with(|state| state.asked.insert(question, what.clone()));
        self.coordinator.as_ref().unwrap().runtime.spawn(async move {
            let outcome = answered.await;
            board.with(|state| {
                // A stopped server sends no answer, so the caller asks the next one.
                if state.asked.remove(&question).is_some()
                    && let Err(error) = outcome
                {
                    state.violations.push(format!("{what}: {error}"));
                }
            });
        });
    }

    /// Posts a task and waits for its end in the background. Returns the task's number.
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
            scripted: false,
            trace_parent: None,
            asks: None,
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

    /// Waits for the first answer of a task, and returns whether it was accepted.
    pub(crate) fn accepted(&self, number: usize) -> bool {
        let known = |state: &State| state.tasks.contains_key(&number) || state.refused.contains_key(&number);
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
                let mut cursor = subscription.log.cursor(0.into());
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

    /// Follows the session's current life from an event on.
    pub(crate) fn subscribe(&self, session: &SessionId, since: u64) {
        let (registry, board, session) = (self.registry_of(), Arc::clone(&self.board), session.clone());
        self.coordinator.as_ref().unwrap().runtime.spawn(async move {
            let Ok(subscription) = registry.subscribe(&session).await else { return };
            let since = since.min(subscription.log.latest());
            let mut cursor = subscription.log.cursor(since.into());
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
}

fn stored(frames: &Frames) -> impl Iterator<Item = StoredEvent> {
    frames.events().map(|(seq, json)| StoredEvent { seq, json })
}
