//! The connections of lists and of records, and the ends of a read.

use std::sync::mpsc;

use super::fixture::open;
use crate::Answers;
use crate::{Store, StoreError, TaskFilter};

/// A query without an end.
const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n";

async fn endless(store: &Store) -> Result<i64, StoreError> {
    store.read_list(|connection| Ok(connection.query_row(ENDLESS, [], |row| row.get(0))?)).await
}

#[tokio::test]
async fn lists_never_use_the_connections_of_records() {
    let (_directory, store) = open();
    let (release, gates): (Vec<_>, Vec<_>) = (0..8).map(|_| mpsc::channel::<()>()).unzip();
    let tracker = tokio_util::task::TaskTracker::new();
    let mut blocked = Vec::new();
    for gate in gates {
        let (store, (began, has_begun)) = (store.clone(), tokio::sync::oneshot::channel());
        blocked.push(tracker.spawn(async move {
            let query = move |_: &rusqlite::Connection| {
                began.send(()).unwrap();
                Ok(gate.recv())
            };
            store.read_list(query).await
        }));
        has_begun.await.unwrap();
    }
    let refused = store.tasks(&TaskFilter::default(), Answers::Short, None, 1).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert_eq!(store.task_count().await.unwrap(), 0);
    drop(release);
    for list in blocked {
        assert!(list.await.unwrap().unwrap().is_err());
    }
    store.tasks(&TaskFilter::default(), Answers::Short, None, 1).await.unwrap();
}

#[tokio::test]
async fn a_list_ends_at_its_deadline() {
    let (_directory, store) = open();
    assert!(matches!(endless(&store).await, Err(StoreError::TimedOut)));
    // The connection is reused for the next read.
    store.tasks(&TaskFilter::default(), Answers::Short, None, 1).await.unwrap();
}

#[tokio::test]
async fn a_list_ends_when_its_caller_stops_waiting() {
    let (_directory, store) = open();
    for _ in 0..16 {
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let reading = store.read_list(move |connection| {
            let _ = began.send(());
            Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
        });
        // The number is twice that of the connections, so each must be free again long before the deadline.
        tokio::select! {
            read = reading => panic!("{read:?}"),
            begun = has_begun => begun.unwrap(),
        }
    }
    store.tasks(&TaskFilter::default(), Answers::Short, None, 1).await.unwrap();
}
