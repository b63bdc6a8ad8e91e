//! The rows that retention removes, and those that it keeps.

use std::time::Duration;

use domain::session::SessionRecord;
use domain::task::TaskRecord;

use super::fixture::{
    append, at, completed, events, insert, lines, numbers, open, open_with, session, task, with_writer,
};
use crate::{Answers, Change, EventBounds, IdempotencyKey, Store, StoreError, StoreOptions, TaskFilter};

/// A task with `count` events and one line that ended at that second.
async fn ended_task(store: &Store, session: &SessionRecord, first_seq: u64, count: u64, second: i64) -> TaskRecord {
    let record = task(session, "m");
    let list = vec![
        insert(&record, None),
        append(session.key, Some(&record), events(first_seq, first_seq + count - 1)),
        lines(&record, &["line"]),
        Change::UpdateTask(completed(&record, at(second))),
    ];
    store.commit(list).await.unwrap();
    record
}

#[tokio::test]
async fn old_tasks_lose_their_events_from_the_front() {
    let (_directory, store) =
        open_with(StoreOptions { max_age: Some(Duration::from_secs(100)), ..StoreOptions::default() });
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    let old = ended_task(&store, &a, 1, 10, 10).await;
    let recent = ended_task(&store, &a, 11, 10, 60).await;
    assert!(!store.prune(at(110)).await.unwrap());
    assert_eq!(store.bounds(a.key).await.unwrap(), Some(EventBounds { earliest: 1, latest: 20 }));
    assert!(!store.prune(at(111)).await.unwrap());
    assert_eq!(store.bounds(a.key).await.unwrap(), Some(EventBounds { earliest: 11, latest: 20 }));
    assert_eq!(numbers(&store, a.key).await, (11..=20).collect::<Vec<_>>());
    assert_eq!(store.task_events(&old.id, 0, 99).await.unwrap(), []);
    assert_eq!(store.task_lines(&old.id, 0, 99).await.unwrap(), []);
    assert_eq!(store.task_lines(&recent.id, 0, 99).await.unwrap().len(), 1);
    assert!(store.task(&old.id).await.unwrap().is_some());

    assert!(!store.prune(at(1000)).await.unwrap());
    assert_eq!(store.bounds(a.key).await.unwrap(), Some(EventBounds { earliest: 21, latest: 20 }));
    assert_eq!(store.log_bytes().await.unwrap(), 0);
    // Numbers continue, and a late event of an ended task is kept until the next call.
    store.commit(vec![append(a.key, Some(&old), events(21, 21))]).await.unwrap();
    assert_eq!(store.task_events(&old.id, 0, 99).await.unwrap(), events(21, 21));
    assert!(!store.prune(at(1000)).await.unwrap());
    assert!(numbers(&store, a.key).await.is_empty());
}

#[tokio::test]
async fn an_unfinished_task_keeps_its_events_and_what_follows() {
    let (_directory, store) =
        open_with(StoreOptions { max_age: Some(Duration::ZERO), max_bytes: Some(0), ..StoreOptions::default() });
    let (a, b) = (session("a"), session("b"));
    store.commit([&a, &b].map(|record| Change::InsertSession(record.clone())).into()).await.unwrap();
    ended_task(&store, &a, 1, 5, 10).await;
    // The second task was announced while `overlapped` ran, and still waits.
    let (overlapped, queued) = (task(&a, "1"), task(&a, "2"));
    let list = vec![
        insert(&overlapped, None),
        insert(&queued, None),
        append(a.key, Some(&overlapped), events(6, 8)),
        append(a.key, Some(&queued), events(9, 9)),
        append(a.key, Some(&overlapped), events(10, 12)),
        Change::UpdateTask(completed(&overlapped, at(11))),
    ];
    store.commit(list).await.unwrap();
    ended_task(&store, &b, 1, 5, 12).await;
    assert!(!store.prune(at(10_000)).await.unwrap());
    assert_eq!(numbers(&store, a.key).await, (6..=12).collect::<Vec<_>>());
    assert!(numbers(&store, b.key).await.is_empty());

    store.commit(vec![Change::UpdateTask(completed(&queued, at(13)))]).await.unwrap();
    assert!(!store.prune(at(10_000)).await.unwrap());
    assert_eq!(store.bounds(a.key).await.unwrap(), Some(EventBounds { earliest: 13, latest: 12 }));
}

#[tokio::test]
async fn beyond_the_size_the_oldest_end_goes_first() {
    let (_directory, store) = open_with(StoreOptions { max_bytes: Some(1500), ..StoreOptions::default() });
    let (a, b) = (session("a"), session("b"));
    store.commit([&a, &b].map(|record| Change::InsertSession(record.clone())).into()).await.unwrap();
    ended_task(&store, &a, 1, 20, 30).await;
    ended_task(&store, &b, 1, 20, 20).await;
    ended_task(&store, &a, 21, 20, 40).await;
    assert!(store.log_bytes().await.unwrap() > 1500);
    assert!(!store.prune(at(50)).await.unwrap());
    assert!(numbers(&store, b.key).await.is_empty());
    assert_eq!(numbers(&store, a.key).await.len(), 40);
    assert!(store.log_bytes().await.unwrap() <= 1500);
}

#[tokio::test]
async fn a_call_does_a_bounded_amount_and_says_that_there_is_more() {
    let (_directory, store) = open_with(StoreOptions { max_age: Some(Duration::ZERO), ..StoreOptions::default() });
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    ended_task(&store, &a, 1, 2500, 10).await;
    let mut earliest = Vec::new();
    while store.prune(at(20)).await.unwrap() {
        let bounds = store.bounds(a.key).await.unwrap().unwrap();
        assert_eq!(numbers(&store, a.key).await, (bounds.earliest..=2500).collect::<Vec<_>>());
        earliest.push(bounds.earliest);
    }
    // The task's line is the first of 512 rows.
    assert_eq!(earliest, [512, 1024, 1536, 2048]);
    assert_eq!(store.bounds(a.key).await.unwrap(), Some(EventBounds { earliest: 2501, latest: 2500 }));
}

#[tokio::test]
async fn a_deleted_sessions_rows_are_removed_in_the_background() {
    let (_directory, store) = open();
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    ended_task(&store, &a, 1, 2500, 10).await;
    store.commit(vec![Change::DeleteSession(a.key)]).await.unwrap();
    loop {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        with_writer(&store, move |connection| {
            let counts = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM lines)
                 + (SELECT count(*) FROM task_logs), (SELECT count(*) FROM deleted_sessions)";
            let counts = connection.query_row(counts, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
            sender.send(counts.unwrap()).unwrap();
        })
        .await;
        match receiver.await.unwrap() {
            (0, 0) => break,
            (rows, marks) => assert_eq!(marks, 1, "{rows} rows are left behind"),
        }
    }
}

#[tokio::test]
async fn idempotency_keys_are_forgotten_after_a_day() {
    let (_directory, store) = open();
    let a = session("a");
    let key = IdempotencyKey { key: "k".into(), scope: String::new(), body_sha256: [1; 32] };
    let first = task(&a, "m");
    store.commit(vec![Change::InsertSession(a.clone()), insert(&first, Some(key.clone()))]).await.unwrap();
    let day = 24 * 3600;
    store.prune(at(2 + day)).await.unwrap();
    let used = store.commit(vec![insert(&task(&a, "m"), Some(key.clone()))]).await;
    assert!(matches!(used, Err(StoreError::IdempotencyKeyUsed { .. })), "{used:?}");
    store.prune(at(3 + day)).await.unwrap();
    store.commit(vec![insert(&task(&a, "m"), Some(key))]).await.unwrap();
}

#[tokio::test]
async fn old_tasks_are_removed_with_their_keys_in_bounded_batches() {
    let (_directory, store) =
        open_with(StoreOptions { max_task_age: Some(Duration::from_secs(100)), ..StoreOptions::default() });
    let a = session("a");
    let key = IdempotencyKey { key: "k".into(), scope: String::new(), body_sha256: [1; 32] };
    let (old, recent, running) = (task(&a, "old words"), task(&a, "recent words"), task(&a, "running words"));
    let mut list = vec![
        Change::InsertSession(a.clone()),
        insert(&old, Some(key.clone())),
        insert(&recent, None),
        insert(&running, None),
        Change::UpdateTask(completed(&old, at(10))),
        Change::UpdateTask(completed(&recent, at(60))),
    ];
    // Each task is a separate batch.
    let long: Vec<_> = (0..3).map(|_| task(&a, &"m".repeat(5 << 20))).collect();
    list.extend(long.iter().map(|task| insert(task, None)));
    list.extend(long.iter().map(|task| Change::UpdateTask(completed(task, at(9)))));
    store.commit(list).await.unwrap();
    while store.index().await.unwrap() {}

    assert!(!store.prune(at(109)).await.unwrap());
    assert_eq!(store.task_count().await.unwrap(), 6);
    for left in [5, 4] {
        assert!(store.prune(at(111)).await.unwrap());
        assert_eq!(store.task_count().await.unwrap(), left);
    }
    while store.prune(at(111)).await.unwrap() {}
    assert_eq!(store.task_count().await.unwrap(), 2);
    assert_eq!(store.task(&old.id).await.unwrap(), None);
    assert!(store.task(&recent.id).await.unwrap().is_some() && store.task(&running.id).await.unwrap().is_some());
    let found = TaskFilter { text: Some("words".to_owned()), ..TaskFilter::default() };
    assert_eq!(store.tasks(&found, Answers::Short, None, 9).await.unwrap().items.len(), 2);
    // The key is free again, and the session still exists.
    store.commit(vec![insert(&task(&a, "m"), Some(key))]).await.unwrap();
    // An unfinished task stays, however old it is.
    while store.prune(at(1_000_000)).await.unwrap() {}
    assert!(store.task(&running.id).await.unwrap().is_some());
}
