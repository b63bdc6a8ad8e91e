//! A full disk leaves nothing half-written, fails no other caller, and recovers by itself.

use domain::event::StoredEvent;

use super::fixture::{append, events, open, session, with_writer};
use crate::{Change, Store, StoreError};

#[tokio::test]
async fn a_full_disk_fails_the_commit_and_heals() {
    let (_directory, store) = open();
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone()), append(a.key, None, events(1, 2))]).await.unwrap();
    limit_pages(&store, 0).await;

    let large = StoredEvent { seq: 3, json: vec![b'x'; 1 << 20].into() };
    let too_much = store.commit(vec![append(a.key, None, vec![large.clone()])]);
    let little = store.commit(vec![Change::UpdateSession(a.clone())]);
    let (too_much, little) = tokio::join!(too_much, little);
    assert!(matches!(too_much, Err(StoreError::Full(_))), "{too_much:?}");
    little.unwrap();
    assert_eq!(store.events(a.key, 0, 10).await.unwrap(), events(1, 2));

    limit_pages(&store, 100_000).await;
    store.commit(vec![append(a.key, None, vec![large.clone()])]).await.unwrap();
    assert_eq!(store.events(a.key, 2, 10).await.unwrap(), [large]);
}

/// Allows `more` pages than the database has now.
async fn limit_pages(store: &Store, more: i64) {
    with_writer(store, move |connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages + more, |_| Ok(())).unwrap();
    })
    .await;
}
