//! Searches, with the index and without it.

use std::time::Duration;

use domain::session::SessionRecord;
use domain::task::TaskRecord;

use super::fixture::{at, completed, insert, open, session, task, with_writer};
use crate::{Answers, Change, Store, TaskFilter};

async fn find(store: &Store, text: &str) -> Vec<String> {
    find_in(store, text, None).await
}

async fn find_in(store: &Store, text: &str, prefix: Option<&str>) -> Vec<String> {
    let filter =
        TaskFilter { text: Some(text.to_owned()), session_prefix: prefix.map(str::to_owned), ..TaskFilter::default() };
    let page = store.tasks(&filter, Answers::Short, None, 100).await.unwrap();
    assert!(!page.partial);
    page.items.into_iter().map(|task| task.request.message.chars().take(20).collect()).collect()
}

async fn index_all(store: &Store) {
    while store.index().await.unwrap() {}
}

/// The rows of the index, and of the tasks that are not in it.
async fn rows(store: &Store) -> (i64, i64) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    with_writer(store, move |connection| {
        let counts = "SELECT (SELECT count(*) FROM task_search), (SELECT count(*) FROM unindexed_tasks)";
        let counts = connection.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)));
        sender.send(counts.unwrap()).unwrap();
    })
    .await;
    receiver.await.unwrap()
}

async fn with_tasks(store: &Store, session: &SessionRecord, messages: &[&str]) -> Vec<TaskRecord> {
    let tasks: Vec<_> = messages.iter().map(|message| task(session, message)).collect();
    let mut list = vec![Change::InsertSession(session.clone())];
    list.extend(tasks.iter().map(|task| insert(task, None)));
    store.commit(list).await.unwrap();
    tasks
}

#[tokio::test]
async fn the_index_finds_what_a_comparison_finds() {
    let (_directory, store) = open();
    let late = format!("{}needle", "x".repeat(16 * 1024));
    let messages = [
        "Refund 100%",
        "refund 100 now",
        "a_b",
        "say \"hi\" AND (more)",
        "Grüße AUS Köln",
        "日本語",
        &late,
        "a\0b nul",
    ];
    let tasks = with_tasks(&store, &session("a"), &messages).await;
    store.commit(vec![Change::UpdateTask(completed(&tasks[2], at(9)))]).await.unwrap();
    for is_indexed in [false, true] {
        if is_indexed {
            index_all(&store).await;
            assert_eq!(rows(&store).await, (8, 0));
        }
        assert_eq!(find(&store, "REFUND").await, ["refund 100 now", "Refund 100%"]);
        assert_eq!(find(&store, "100%").await, ["Refund 100%"]);
        assert_eq!(find(&store, "a_b").await, ["a_b"]);
        assert_eq!(find(&store, "\"hi\" AND (").await, ["say \"hi\" AND (more)"]);
        assert_eq!(find(&store, "GRÜSSE").await, [""; 0]);
        assert_eq!(find(&store, "grüße aus kö").await, ["Grüße AUS Köln"]);
        assert_eq!(find(&store, "日本語").await, ["日本語"]);
        assert_eq!(find(&store, "本").await, ["日本語"]);
        assert_eq!(find(&store, "b nul").await, ["a\0b nul"]);
        assert_eq!(find(&store, "\0b n").await, ["a\0b nul"]);
        assert_eq!(find(&store, "fund_").await, [""; 0]);
        // Only one task has an answer: {"action":"resolve"} and "done".
        assert_eq!(find(&store, "done").await, ["a_b"]);
        // The text follows the first 16 KiB.
        assert_eq!(find(&store, "needle").await, [""; 0]);
        assert_eq!(find(&store, "xxxxxx").await, ["x".repeat(20)]);
    }
}

#[tokio::test]
async fn a_search_sees_only_the_sessions_of_its_key() {
    let (_directory, store) = open();
    for id in ["tenant-a-1", "tenant-b-1"] {
        with_tasks(&store, &session(id), &[&format!("secret of {id}")]).await;
    }
    for _ in 0..2 {
        assert_eq!(find_in(&store, "secret", Some("tenant-a-")).await, ["secret of tenant-a-1"]);
        assert_eq!(find_in(&store, "cr", Some("tenant-b-")).await, ["secret of tenant-b-1"]);
        assert_eq!(find_in(&store, "secret", Some("t")).await.len(), 2);
        assert_eq!(find_in(&store, "secret", Some("tenant-c-")).await, [""; 0]);
        index_all(&store).await;
    }
}

#[tokio::test]
async fn a_deleted_session_leaves_the_index() {
    let (_directory, store) = open();
    let a = session("a");
    with_tasks(&store, &a, &["private words"]).await;
    index_all(&store).await;
    store.commit(vec![Change::DeleteSession(a.key)]).await.unwrap();
    assert_eq!(find(&store, "private").await, [""; 0]);
    index_all(&store).await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    with_writer(&store, move |connection| {
        let query = "SELECT count(*) FROM task_search WHERE task_search MATCH 'text : \"pri\"'";
        sender.send(connection.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap();
    })
    .await;
    assert_eq!(receiver.await.unwrap(), 0);
}

#[tokio::test]
async fn the_index_is_filled_in_small_batches_and_goes_on_after_a_stop() {
    let (directory, store) = open();
    let messages: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
    with_tasks(&store, &session("a"), &messages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(store.index().await.unwrap());
    let (indexed, left) = rows(&store).await;
    assert_eq!((indexed, left), (32, 68));
    store.close().await;
    drop(store);
    let store = Store::open(directory.path(), crate::StoreOptions::default()).unwrap();
    tokio::time::timeout(Duration::from_mins(1), store.texts_changed()).await.unwrap();
    assert_eq!(find(&store, "message 7").await.len(), 11);
    index_all(&store).await;
    assert_eq!(rows(&store).await, (100, 0));
    assert_eq!(find(&store, "message 7").await.len(), 11);
}

#[tokio::test]
async fn a_search_is_partial_until_the_index_has_caught_up() {
    let (_directory, store) = open();
    let messages: Vec<String> = (0..1001).map(|number| format!("message {number}")).collect();
    with_tasks(&store, &session("a"), &messages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let filter = TaskFilter { text: Some("message 0".to_owned()), ..TaskFilter::default() };
    let page = store.tasks(&filter, Answers::Short, None, 10).await.unwrap();
    assert!(page.partial && page.items.is_empty() && page.next.is_none(), "{page:?}");
    index_all(&store).await;
    let page = store.tasks(&filter, Answers::Short, None, 10).await.unwrap();
    assert_eq!((page.partial, page.items.len()), (false, 1));
}

#[tokio::test]
async fn a_search_below_three_characters_looks_at_the_newest_thousand() {
    let (_directory, store) = open();
    let mut messages = vec!["old zz"];
    messages.resize(1001, "other");
    with_tasks(&store, &session("a"), &messages).await;
    with_tasks(&store, &session("b"), &["new zz"]).await;
    assert_eq!(find(&store, "zz").await, ["new zz"]);
    index_all(&store).await;
    assert_eq!(find(&store, "zz").await, ["new zz"]);
    assert_eq!(find(&store, " zz").await, ["new zz", "old zz"]);
}

#[tokio::test]
async fn pages_of_a_search_follow_each_other() {
    let (_directory, store) = open();
    with_tasks(&store, &session("a"), &["same 1", "same 2", "other", "same 3"]).await;
    index_all(&store).await;
    let filter = TaskFilter { text: Some("same".to_owned()), ..TaskFilter::default() };
    let first = store.tasks(&filter, Answers::Short, None, 2).await.unwrap();
    let rest = store.tasks(&filter, Answers::Short, first.next, 2).await.unwrap();
    let found: Vec<_> = first.items.iter().chain(&rest.items).map(|task| task.request.message.as_str()).collect();
    assert_eq!((found, rest.next), (vec!["same 3", "same 2", "same 1"], None));
}
