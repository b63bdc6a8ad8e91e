//! Damaged rows and pages.

use std::time::Duration;

use domain::session::SessionRecord;
use domain::task::{TaskRecord, TaskStatus};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::fixture::{at, completed, execute, insert, open, open_with, session, task};
use crate::{Answers, Change, Store, StoreError, StoreOptions, TaskFilter};

/// A session with these tasks.
async fn with_tasks(store: &Store, messages: &[&str]) -> (SessionRecord, Vec<TaskRecord>) {
    let owner = session("s");
    let tasks: Vec<_> = messages.iter().map(|message| task(&owner, message)).collect();
    let mut changes = vec![Change::InsertSession(owner.clone())];
    changes.extend(tasks.iter().map(|task| insert(task, None)));
    store.commit(changes).await.unwrap();
    (owner, tasks)
}

/// The messages of all pages of a list.
async fn pages(store: &Store, filter: &TaskFilter, limit: usize) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.tasks(filter, Answers::Short, cursor, limit).await.unwrap();
        seen.extend(page.items.into_iter().map(|task| task.request.message));
        cursor = page.next;
        if cursor.is_none() {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_page_of_a_list_leaves_damaged_rows_out_and_goes_on_behind_them() {
    let (directory, store) = open();
    let (owner, tasks) = with_tasks(&store, &["task 0", "task 1", "task 2", "task 3", "task 4"]).await;
    execute(&directory, "UPDATE tasks SET request = 'x' WHERE message IN ('task 3', 'task 2')");

    for limit in [1, 2, 100] {
        assert_eq!(pages(&store, &TaskFilter::default(), limit).await, ["task 4", "task 1", "task 0"]);
    }
    let named = store.damage();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.iter().all(|row| row.contains("of session s")), "{named:?}");
    assert!(store.task(&tasks[3].id).await.unwrap_err().is_damage());
    assert_eq!(store.unfinished_tasks(owner.key).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_search_leaves_damaged_rows_out_and_goes_on_behind_them() {
    let (directory, store) = open();
    with_tasks(&store, &["task 0", "task 1", "task 2", "task 3", "task 4"]).await;
    execute(&directory, "UPDATE tasks SET request = 'x' WHERE message IN ('task 3', 'task 2')");
    for is_indexed in [false, true] {
        if is_indexed {
            while store.index().await.unwrap() {}
        }
        for (text, limit) in [("task", 1), ("task", 2), ("task", 100), ("ta", 2)] {
            let filter = TaskFilter { text: Some(text.to_owned()), ..TaskFilter::default() };
            assert_eq!(pages(&store, &filter, limit).await, ["task 4", "task 1", "task 0"]);
        }
    }
    assert_eq!(store.damage().len(), 2, "{:?}", store.damage());
}

#[tokio::test]
async fn a_page_of_sessions_leaves_damaged_ones_out() {
    let (directory, store) = open();
    store.commit(["a", "b", "c"].map(|id| Change::InsertSession(session(id))).into()).await.unwrap();
    execute(&directory, "UPDATE sessions SET claude_session_id = CAST(x'ff' AS TEXT) WHERE id = 'b'");
    let first = store.sessions(None, None, 2).await.unwrap();
    let rest = store.sessions(None, first.next, 2).await.unwrap();
    let ids: Vec<_> = first.items.iter().chain(&rest.items).map(|session| session.id.as_str()).collect();
    assert_eq!((ids, rest.next), (vec!["a", "c"], None));
    assert!(store.damage()[0].starts_with("session b: "), "{:?}", store.damage());
}

#[tokio::test]
async fn an_error_that_is_no_damage_is_not_skipped() {
    let (_directory, store) = open();
    let skipped = store.shared.damage.skip(|| "a row".to_owned(), Err::<(), _>(StoreError::TimedOut));
    assert!(matches!(skipped, Err(StoreError::TimedOut)));
    assert!(store.damage().is_empty());
}

#[tokio::test]
async fn a_damaged_task_keeps_no_other_out_of_the_index() {
    let (directory, store) = open();
    with_tasks(&store, &["old words", "damaged words"]).await;
    // The newest is indexed first.
    execute(&directory, "UPDATE tasks SET session_id = CAST(x'ff' AS TEXT) WHERE message = 'damaged words'");
    while store.index().await.unwrap() {}
    let filter = TaskFilter { text: Some("words".to_owned()), ..TaskFilter::default() };
    assert_eq!(pages(&store, &filter, 9).await, ["old words"]);
    assert!(store.damage()[0].starts_with("task in row "), "{:?}", store.damage());
}

#[tokio::test]
async fn damaged_tasks_are_removed_at_the_age_of_the_others() {
    let (directory, store) =
        open_with(StoreOptions { max_task_age: Some(Duration::from_secs(100)), ..StoreOptions::default() });
    let (_, tasks) = with_tasks(&store, &["whole", "damaged"]).await;
    store.commit(tasks.iter().map(|task| Change::UpdateTask(completed(task, at(10)))).collect()).await.unwrap();
    execute(&directory, "UPDATE tasks SET request = 'x', answer = 'y' WHERE message = 'damaged'");
    assert_eq!(pages(&store, &TaskFilter::default(), 9).await, ["whole"]);
    assert_eq!(store.damage().len(), 1);
    while store.prune(at(111)).await.unwrap() {}
    assert_eq!(store.task_count().await.unwrap(), 0);
    // A removed row no longer counts as damaged.
    assert!(store.damage().is_empty(), "{:?}", store.damage());
}

#[tokio::test]
async fn a_session_with_a_damaged_task_can_be_deleted() {
    let (directory, store) = open();
    let (owner, tasks) = with_tasks(&store, &["whole", "damaged"]).await;
    execute(&directory, "UPDATE tasks SET request = 'secret' WHERE message = 'damaged'");
    store.commit(vec![Change::DeleteSession(owner.key)]).await.unwrap();
    assert_eq!(store.task(&tasks[0].id).await.unwrap().unwrap().status, TaskStatus::Queued);
    let query = "SELECT status, request FROM task_records ORDER BY number DESC LIMIT 1";
    let database = Connection::open(directory.path().join("claude-runner.db")).unwrap();
    let left: (String, String) = database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(left.0 == "aborted" && !left.1.contains("secret"), "{left:?}");
}

#[tokio::test]
async fn a_damaged_page_is_found_after_an_unclean_stop() {
    let (directory, store) = open();
    let owner = session("s");
    let mut changes = vec![Change::InsertSession(owner.clone())];
    changes.extend((0..200).map(|number| insert(&task(&owner, &format!("{number} {}", "long ".repeat(200))), None)));
    store.commit(changes).await.unwrap();
    store.close().await;
    drop(store);
    let path = directory.path().join("claude-runner.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let pages = bytes.len() / 8192;
    // These pages are leaves of the table of tasks, according to their headers.
    let is_leaf = |page: &usize| {
        let page = &bytes[page * 8192..(page + 1) * 8192];
        page[0] == 13 && page.windows(10).any(|text| text == b"long long ")
    };
    for page in (1..pages).filter(is_leaf).collect::<Vec<_>>() {
        bytes[page * 8192 + 3..page * 8192 + 7].fill(0xff);
    }
    std::fs::write(&path, bytes).unwrap();
    // A killed process leaves the log like this.
    std::fs::write(directory.path().join("claude-runner.db-wal"), [0; 32]).unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    store.clone().check_after_unclean_stop(CancellationToken::new()).await;
    let named = store.damage();
    assert!(named.first().is_some_and(|row| row.starts_with("the database: ")), "{named:?}");
}
