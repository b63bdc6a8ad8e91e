//! Long texts of tasks: a change of the task does not write them again, and those of a deleted session are removed in batches.

use domain::session::SessionRecord;
use domain::task::{TaskRecord, TaskStatus};

use super::fixture::{at, completed, execute, insert, open, session, task, with_writer};
use crate::{Answers, Change, Store, StoreOptions, TaskFilter};

/// A task with megabytes in its message, and its end with as much in the answer.
fn large(owner: &SessionRecord) -> (TaskRecord, TaskRecord) {
    let text = "long words ".repeat(300_000);
    let mut record = task(owner, &text);
    record.request.context = Some(text.clone());
    let mut end = completed(&record, at(10));
    end.answer.as_mut().unwrap().response = Some(text);
    (record, end)
}

#[tokio::test]
async fn a_change_of_a_task_does_not_write_its_texts_again() {
    let (directory, store) = open();
    let a = session("a");
    let (record, end) = large(&a);
    store.commit(vec![Change::InsertSession(a), insert(&record, None)]).await.unwrap();
    // A second connection can cut the log while the writer waits.
    let other = rusqlite::Connection::open(directory.path().join("claude-runner.db")).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    for status in [TaskStatus::Running, TaskStatus::Aborted] {
        let changed = TaskRecord { status, request: record.request.without_texts(), ..record.clone() };
        store.commit(vec![Change::UpdateTask(changed)]).await.unwrap();
    }
    let log = std::fs::metadata(directory.path().join("claude-runner.db-wal")).unwrap().len();
    assert!(log < 1_000_000, "{log} bytes were written");
    assert_eq!(store.task_request(&record.id).await.unwrap(), record.request);

    store.commit(vec![Change::UpdateTask(end.clone())]).await.unwrap();
    assert_eq!(store.task(&record.id).await.unwrap(), Some(end));
}

#[tokio::test]
async fn the_texts_of_a_deleted_session_are_hidden_at_once_and_then_removed() {
    let (directory, store) = open();
    let a = session("a");
    let (record, end) = large(&a);
    let small = task(&a, "few words");
    let inserted = vec![Change::InsertSession(a), insert(&record, None), insert(&small, None)];
    store.commit(inserted).await.unwrap();
    store.commit(vec![Change::UpdateTask(end.clone())]).await.unwrap();
    store.close().await;
    drop(store);
    // As a deletion leaves them before the writer has removed anything.
    execute(&directory, "INSERT INTO deleted_texts (session) SELECT key FROM sessions");
    let shown = "SELECT group_concat(message || coalesce(request ->> '$.context', '') || coalesce(answer ->> '$.response', ''), '')
         FROM task_records";
    let connection = rusqlite::Connection::open(directory.path().join("claude-runner.db")).unwrap();
    assert_eq!(connection.query_row(shown, [], |row| row.get::<_, String>(0)).unwrap(), "");
    drop(connection);

    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let left = "SELECT (SELECT count(*) FROM deleted_texts) + (SELECT count(*) FROM large_requests)
             + (SELECT count(*) FROM large_answers) + (SELECT count(*) FROM tasks WHERE message <> '')";
    loop {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        with_writer(&store, move |connection| {
            sender.send(connection.query_row(left, [], |row| row.get::<_, i64>(0)).unwrap()).unwrap();
        })
        .await;
        if receiver.await.unwrap() == 0 {
            break;
        }
    }
    let mut empty = end;
    empty.request = empty.request.without_texts();
    let answer = empty.answer.as_mut().unwrap();
    (answer.output, answer.response) = (None, None);
    let listed = store.tasks(&TaskFilter::default(), Answers::Whole, None, 9).await.unwrap().items;
    assert_eq!(listed[1], empty);
    assert_eq!(listed[0].request.message, "");
}
