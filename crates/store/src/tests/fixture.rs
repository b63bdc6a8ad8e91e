//! Sample records, and a store in a temporary directory.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::access::KeyLimits;
use domain::agent::AgentName;
use domain::event::StoredEvent;
use domain::session::{SandboxRecord, SessionKey, SessionRecord};
use domain::task::{Answer, TaskId, TaskRecord, TaskRequest, TaskStatus};
use domain::usage::Usage;
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::write::Work;
use crate::{Change, IdempotencyKey, Store, StoreOptions};

pub(super) fn open() -> (TempDir, Store) {
    open_with(StoreOptions::default())
}

pub(super) fn open_with(options: StoreOptions) -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), options).unwrap();
    (directory, store)
}

/// A time in whole seconds after an arbitrary start.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) fn session(id: &str) -> SessionRecord {
    SessionRecord {
        epoch: domain::session::Epoch::from_number(1),
        agent: AgentName::default(),
        key: SessionKey::generate(),
        id: id.parse().unwrap(),
        created: at(0),
        last_active: at(1),
        turns: 0,
        claude_session_id: None,
        env: BTreeMap::new(),
        last_seq: 0,
        sandbox: None,
        repository: None,
    }
}

pub(super) fn sandbox(name: &str, last_frame: u64) -> SandboxRecord {
    SandboxRecord {
        name: name.to_owned(),
        container_id: format!("container-of-{name}"),
        link_secret: format!("link-secret-of-{name}").into(),
        last_frame,
        progress: None,
    }
}

pub(super) fn task(session: &SessionRecord, message: &str) -> TaskRecord {
    TaskRecord {
        id: TaskId::generate(),
        session: session.key,
        session_id: session.id.clone(),
        status: TaskStatus::Queued,
        request: TaskRequest {
            message: message.to_owned(),
            context: Some("Channel: web-chat".to_owned()),
            model: "claude-sonnet-4-6".to_owned(),
            max_turns: 10,
            timeout_ms: 60_000,
            max_cost_usd: Some(0.5),
            retry: 0,
            metadata: Some(serde_json::json!({"ticket": 7})),
            key: None,
            key_limits: KeyLimits::default(),
            repository: None,
            scripted: false,
            trace_parent: None,
            asks: None,
        },
        created: at(2),
        started: None,
        finished: None,
        attempt: 0,
        answer: None,
        failure: None,
        repository: None,
        waiting: false,
    }
}

/// The same task, completed.
pub(super) fn completed(task: &TaskRecord, finished: Timestamp) -> TaskRecord {
    TaskRecord {
        status: TaskStatus::Completed,
        started: Some(at(3)),
        finished: Some(finished),
        answer: Some(Answer {
            task_id: task.id.clone(),
            session_id: task.session_id.clone(),
            status: TaskStatus::Completed,
            output: Some(serde_json::json!({"action": "resolve"})),
            response: Some("done".to_owned()),
            cost: 0.25,
            cli_cost: 0.0,
            duration: 1234,
            tools: vec!["Bash".to_owned()],
            resumed: true,
            usage: Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() },
            price_assumed: false,
        }),
        ..task.clone()
    }
}

pub(super) fn insert(record: &TaskRecord, idempotency: Option<IdempotencyKey>) -> Change {
    Change::InsertTask { record: record.clone(), prompt_uuid: Uuid::from_u128(7), idempotency }
}

/// Events numbered `first..=last`. The bytes are not canonical JSON, so that a re-encoding would be detected.
pub(super) fn events(first: u64, last: u64) -> Vec<StoredEvent> {
    (first..=last)
        .map(|seq| StoredEvent { seq, json: Bytes::from(format!("{{ \"seq\" :{seq}, \"text\":\"é\\u00e9\"}}")) })
        .collect()
}

pub(super) fn append(session: SessionKey, task: Option<&TaskRecord>, events: Vec<StoredEvent>) -> Change {
    Change::AppendEvents { session, task: task.map(|task| task.id.clone()), events }
}

pub(super) fn lines(task: &TaskRecord, lines: &[&'static str]) -> Change {
    let lines = lines.iter().map(|line| Bytes::from_static(line.as_bytes())).collect();
    Change::AppendLines { session: task.session, task: task.id.clone(), lines }
}

pub(super) async fn numbers(store: &Store, session: SessionKey) -> Vec<u64> {
    store.events(session, 0, usize::MAX).await.unwrap().into_iter().map(|event| event.seq).collect()
}

/// Runs code on the writer's connection, between commits.
pub(super) async fn with_writer(store: &Store, hook: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
    store.shared.writer.ask(Work::Hook(Some(Box::new(hook)))).await.unwrap();
}

/// Blocks the writer until `work` has put this many requests into the queue.
pub(super) async fn with_blocked_writer<T>(store: &Store, queued: usize, work: impl Future<Output = T>) -> T {
    let (running, is_running) = tokio::sync::oneshot::channel();
    let (open_gate, gate) = std::sync::mpsc::channel();
    let blocked = with_writer(store, move |_| {
        running.send(()).unwrap();
        gate.recv().unwrap();
    });
    let waiting = async {
        is_running.await.unwrap();
        let release = async {
            while store.shared.writer.queued() < queued {
                tokio::task::yield_now().await;
            }
            open_gate.send(()).unwrap();
        };
        tokio::join!(work, release).0
    };
    tokio::join!(blocked, waiting).1
}

/// Changes rows behind the store's back.
pub(super) fn execute(directory: &TempDir, statements: &str) {
    Connection::open(directory.path().join("claude-runner.db")).unwrap().execute_batch(statements).unwrap();
}
