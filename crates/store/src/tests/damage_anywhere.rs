//! Garbage in every column of every table. The start, and everything that concerns other sessions, still work.

use std::path::Path;

use domain::access::{ApiKey, KeyLimits, KeySecret, Scope};
use domain::session::{SessionKey, SessionRecord};
use domain::task::TaskRecord;
use domain::usage::{Account, Charge, CliCharge, Cost, Dimension, OpenRequest, Usage, UsageFilter};
use domain::webhook::{Attempt, Attempted, Outcome, Target, WebhookId};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::fixture::{append, at, completed, events, execute, insert, lines, open_with, sandbox, session, task};
use crate::{
    Answers, BusyWebhooks, Change, IdempotencyKey, KnownVolume, Store, StoreError, StoreOptions, TaskFilter,
    WebhookFilter,
};

/// The tables, each with the condition of the row that is damaged. `meta` has the value that checks the key: without it, no store
/// can be opened.
const TABLES: [(&str, &str); 19] = [
    ("sessions", "id = 'bad'"),
    ("session_env", "session = 1"),
    ("tasks", "session_id = 'bad'"),
    ("idempotency_keys", "key = 'bad'"),
    ("events", "session = 1 AND seq = 1"),
    ("lines", "session = 1"),
    ("task_logs", "session = 1"),
    ("deleted_sessions", "1"),
    ("api_keys", "name = 'bad'"),
    ("open_requests", "session = 'bad'"),
    ("usage", "session = 'bad'"),
    ("cli_usage", "session = 'bad'"),
    ("spending", "account = 'session:bad'"),
    ("webhooks", "session_id = 'bad'"),
    ("orphan_volumes", "name = 'bad'"),
    ("unindexed_tasks", "number = (SELECT min(number) FROM unindexed_tasks)"),
    ("large_requests", "task = (SELECT min(task) FROM large_requests)"),
    ("large_answers", "task = (SELECT min(task) FROM large_answers)"),
    ("deleted_texts", "1"),
];

/// Text that is not UTF-8, and bytes where the column has numbers or text.
const GARBAGE: [&str; 2] = ["x'ff00fe'", "CAST(x'ff' AS TEXT)"];

fn options() -> StoreOptions {
    let second = Some(std::time::Duration::from_secs(1));
    StoreOptions { max_age: second, max_task_age: second, max_bytes: Some(1), ..StoreOptions::default() }
}

/// Everything that a session can have in the store.
async fn fill(store: &Store, name: &str, number: u64) -> SessionRecord {
    let mut owner = session(name);
    owner.sandbox = Some(sandbox(&format!("sandbox-of-{name}"), 0));
    owner.env.insert("TOKEN".to_owned(), "v4lue".into());
    let long = "x".repeat(10_000);
    let ended = task(&owner, &format!("{name} has ended"));
    let waiting = task(&owner, &format!("{name} waits {long}"));
    let mut end = completed(&ended, at(10));
    end.answer.as_mut().unwrap().response = Some(long);
    let idempotency = IdempotencyKey { scope: "s".to_owned(), key: name.to_owned(), body_sha256: [0; 32] };
    let target = Target::new("https://a.example/hooks", None).unwrap();
    let hook = |task: &TaskRecord| Change::InsertWebhook {
        id: WebhookId::generate(),
        task: task.clone(),
        target: target.clone(),
    };
    let request = OpenRequest {
        id: number,
        day: "2026-11-20".parse().unwrap(),
        key: None,
        session: Some(owner.id.clone()),
        task: Some(ended.id.clone()),
        model: "model".to_owned(),
        estimate: Cost::from_nano_dollars(100),
    };
    let charge = Charge {
        model: "model".to_owned(),
        usage: Usage { requests: 1, ..Usage::default() },
        cost: Cost::from_nano_dollars(7),
        estimated: Cost::ZERO,
        assumed: Cost::ZERO,
    };
    let cli = CliCharge { day: request.day, key: None, session: owner.id.clone(), cost: Cost::from_nano_dollars(7) };
    let changes = vec![
        Change::InsertSession(owner.clone()),
        insert(&ended, Some(idempotency)),
        insert(&waiting, None),
        hook(&ended),
        hook(&waiting),
        append(owner.key, Some(&ended), events(1, 2)),
        lines(&ended, &["a line"]),
        Change::OpenRequest(request.clone()),
        Change::SettleRequest { id: number, charge },
        Change::OpenRequest(request),
        Change::AddCliCharge(cli),
        Change::UpdateTask(end),
    ];
    store.commit(changes).await.unwrap();
    let secret = KeySecret::generate();
    let key = ApiKey {
        id: secret.id.clone(),
        name: Some(name.to_owned()),
        digest: secret.digest(),
        scope: Scope::Read,
        sessions: None,
        limits: KeyLimits::default(),
        created: at(0),
        expires: Some(at(9)),
        revoked: Some(at(9)),
    };
    store.keys().unwrap().insert(&key).unwrap();
    owner
}

fn volumes() -> Vec<KnownVolume> {
    let volume =
        |name: &str, number| KnownVolume { name: name.to_owned(), session: SessionKey::from_bytes([number; 16]) };
    vec![volume("bad", 1), volume("whole", 2)]
}

/// Replaces a value, which a strict table would refuse. Returns false if SQLite cannot hold it in any table.
fn damage(database: &Path, table: &str, column: &str, condition: &str, garbage: &str) -> bool {
    let open = || {
        let connection = Connection::open(database).unwrap();
        let pragmas = "PRAGMA writable_schema = ON; PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;";
        connection.execute_batch(pragmas).unwrap();
        connection
    };
    let connection = open();
    let query = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let strict: String = connection.query_row(query, [table], |row| row.get(0)).unwrap();
    let plain = strict.replace(") STRICT, WITHOUT", ") WITHOUT").replace(") STRICT", ")");
    assert_ne!(plain, strict);
    let declare = "UPDATE sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2";
    connection.execute(declare, [&plain, table]).unwrap();
    drop(connection);
    let connection = open();
    let changed = connection.execute(&format!("UPDATE {table} SET {column} = {garbage} WHERE {condition}"), []);
    connection.execute(declare, [&strict, table]).unwrap();
    assert_ne!(changed.as_ref().ok(), Some(&0), "{table} has no such row");
    changed.is_ok()
}

fn columns(database: &Path, table: &str) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Starts a store and does everything that concerns the session `whole`, or all sessions. Returns the size of the logs at the end.
async fn serve(directory: &Path, whole: &SessionRecord) -> Result<u64, StoreError> {
    let store = Store::open(directory, options())?;
    let keys = store.keys()?.all()?;
    assert!(keys.keys.iter().any(|key| key.name.as_deref() == Some("whole")), "{keys:?}");
    store.commit(vec![Change::ChargeOpenRequests]).await?;
    let balances = store.balances(vec![Account::Session(whole.id.clone()), Account::Installation]).await?;
    assert_eq!(balances[0].spent, Cost::from_nano_dollars(107));
    let day = "2026-11-20".parse().unwrap();
    let filter = UsageFilter { from: day, to: day, keys: vec![], session: None, session_prefix: None, model: None };
    let report = store.usage(&filter, &[Dimension::Day, Dimension::Key, Dimension::Session], 9).await?;
    assert!(report.totals.cost >= Cost::from_nano_dollars(107), "{report:?}");
    store.usage(&filter, &[Dimension::Model], 9).await?;

    assert!(store.live_sessions().await?.iter().any(|session| session.id == whole.id));
    assert!(store.sandbox_owners().await?.iter().any(|(_, session)| *session == whole.id));
    assert_eq!(store.unfinished_tasks(whole.key).await?.len(), 1);
    assert!(store.sessions(None, None, 9).await?.items.iter().any(|session| session.id == whole.id));
    assert_eq!(store.events(whole.key, 0, 9).await?.len(), 2);
    while store.index().await? {}
    for text in [None, Some("whole".to_owned())] {
        let filter = TaskFilter { text, ..TaskFilter::default() };
        let tasks = store.tasks(&filter, Answers::Short, None, 9).await?.items;
        assert_eq!(tasks.iter().filter(|task| task.session_id == whole.id).count(), 2, "{filter:?}");
    }
    let deliveries = store.webhooks(&WebhookFilter::default(), None, 9).await?.items;
    assert!(deliveries.iter().any(|delivery| delivery.session_id == whole.id), "{deliveries:?}");
    let due = store.due_webhooks(at(99), BusyWebhooks::default(), 9).await?;
    assert!(due.iter().any(|due| due.target.is_some()), "{due:?}");
    for due in due {
        let attempt = Attempt { time: at(99), status: None, error: None, duration_ms: 0 };
        let outcome = Outcome::Failed;
        let attempted = Attempted { number: due.number, round: due.round, attempt, outcome };
        store.commit(vec![Change::AttemptedWebhook(attempted)]).await?;
    }
    assert!(store.due_webhooks(at(99), BusyWebhooks::default(), 9).await?.is_empty(), "a delivery never ends");
    store.next_webhook(BusyWebhooks::default()).await?;
    for _ in 0..2 {
        let orphans = store.record_orphan_volumes(volumes(), at(20)).await?;
        assert_eq!(orphans.len(), 2, "{orphans:?}");
    }

    let more = task(whole, "whole goes on");
    store.commit(vec![insert(&more, None), append(whole.key, Some(&more), events(3, 3))]).await?;
    store.commit(vec![Change::UpdateTask(completed(&more, at(30)))]).await?;
    let mut rounds = 0;
    while store.prune(at(1000)).await? {
        rounds += 1;
        assert!(rounds < 20, "pruning does not end");
    }
    assert!(store.task(&more.id).await?.is_none(), "retention does not reach the other tasks");
    let log_bytes = store.log_bytes().await?;
    store.close().await;
    Ok(log_bytes)
}

#[tokio::test]
async fn no_value_of_any_column_stops_the_start_or_another_session() {
    let (original, store) = open_with(options());
    fill(&store, "bad", 1).await;
    let whole = fill(&store, "whole", 2).await;
    let deleted = session("deleted");
    store.commit(vec![Change::InsertSession(deleted.clone()), append(deleted.key, None, events(1, 1))]).await.unwrap();
    store.record_orphan_volumes(volumes(), at(5)).await.unwrap();
    store.close().await;
    drop(store);
    execute(
        &original,
        "INSERT INTO deleted_sessions SELECT number FROM sessions WHERE id = 'deleted';
         INSERT INTO deleted_texts (session) SELECT key FROM sessions WHERE id = 'deleted';
         DELETE FROM sessions WHERE id = 'deleted'",
    );

    let (mut tried, mut broken) = (0, Vec::new());
    for (table, condition) in TABLES {
        for column in columns(&original.path().join("claude-runner.db"), table) {
            for garbage in GARBAGE {
                let copy = TempDir::new().unwrap();
                for name in ["claude-runner.db", "secret.key"] {
                    std::fs::copy(original.path().join(name), copy.path().join(name)).unwrap();
                }
                if !damage(&copy.path().join("claude-runner.db"), table, &column, condition, garbage) {
                    continue;
                }
                tried += 1;
                let (directory, whole) = (copy.path().to_owned(), whole.clone());
                let served = TaskTracker::new().spawn(async move { serve(&directory, &whole).await });
                match served.await {
                    Ok(Ok(log_bytes)) if log_bytes == 0 || table != "sessions" => {}
                    Ok(Ok(_)) => {
                        broken.push(format!("{table}.{column} = {garbage}: the bound of the logs stays exceeded"));
                    }
                    Ok(Err(error)) => broken.push(format!("{table}.{column} = {garbage}: {error:?}")),
                    Err(panic) => broken.push(format!("{table}.{column} = {garbage}: {panic}")),
                }
            }
        }
    }
    assert!(tried > 150, "{tried}");
    assert!(broken.is_empty(), "{} of {tried}:\n{}", broken.len(), broken.join("\n"));
}
