//! Damaged rows and pages.

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::fixture::{open, session, task};
use crate::{Change, Store, StoreOptions, TaskFilter};

fn insert_task(record: domain::task::TaskRecord) -> Change {
    Change::InsertTask { record, prompt_uuid: uuid::Uuid::now_v7(), idempotency: None }
}

#[tokio::test]
async fn a_page_of_a_list_leaves_damaged_rows_out_and_goes_on_behind_them() {
    let (directory, store) = open();
    let owner = session("s");
    let tasks: Vec<_> = (0..5).map(|number| task(&owner, &format!("task {number}"))).collect();
    let mut changes = vec![Change::InsertSession(owner.clone())];
    changes.extend(tasks.iter().cloned().map(insert_task));
    store.commit(changes).await.unwrap();
    let damage = "UPDATE tasks SET request = 'x' WHERE message IN ('task 3', 'task 2')";
    Connection::open(directory.path().join("claude-runner.db")).unwrap().execute_batch(damage).unwrap();

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.tasks(&TaskFilter::default(), cursor, 2).await.unwrap();
        seen.extend(page.items.into_iter().map(|task| task.request.message));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["task 4", "task 1", "task 0"]);
    let named = store.damage();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.iter().all(|row| row.contains("of session s")), "{named:?}");
    assert!(store.task(&tasks[3].id).await.unwrap_err().is_damage());
    assert_eq!(store.unfinished_tasks(owner.key).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_damaged_page_is_found_after_an_unclean_stop() {
    let (directory, store) = open();
    let owner = session("s");
    let mut changes = vec![Change::InsertSession(owner.clone())];
    changes.extend((0..200).map(|number| insert_task(task(&owner, &format!("{number} {}", "long ".repeat(200))))));
    store.commit(changes).await.unwrap();
    store.close().await;
    drop(store);
    let path = directory.path().join("claude-runner.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let pages = bytes.len() / 8192;
    // Leaves of the tasks: the header of each says so.
    let is_leaf = |page: &usize| {
        let page = &bytes[page * 8192..(page + 1) * 8192];
        page[0] == 13 && page.windows(10).any(|text| text == b"long long ")
    };
    for page in (1..pages).filter(is_leaf).collect::<Vec<_>>() {
        bytes[page * 8192 + 3..page * 8192 + 7].fill(0xff);
    }
    std::fs::write(&path, bytes).unwrap();
    // As a killed process leaves it.
    std::fs::write(directory.path().join("claude-runner.db-wal"), [0; 32]).unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    store.clone().check_after_unclean_stop(CancellationToken::new()).await;
    let named = store.damage();
    assert!(named.first().is_some_and(|row| row.starts_with("the database: ")), "{named:?}");
}
