//! The record of volumes without a session.

use domain::session::SessionKey;

use super::fixture::{at, open, session};
use crate::{Change, KnownVolume, OrphanVolume, inspect};

fn volume(name: &str, session: SessionKey) -> KnownVolume {
    KnownVolume { name: name.to_owned(), session }
}

fn orphan(name: &str, seconds: i64, deleted: bool) -> OrphanVolume {
    OrphanVolume { name: name.to_owned(), since: at(seconds), deleted }
}

#[tokio::test]
async fn the_grace_of_a_volume_counts_from_the_first_sight_in_this_store() {
    let (directory, store) = open();
    let known = session("s");
    store.commit(vec![Change::InsertSession(known.clone())]).await.unwrap();
    let stranger = SessionKey::generate();
    let all = vec![volume("of-s", known.key), volume("foreign", stranger)];
    let seen = store.record_orphan_volumes(all.clone(), at(0)).await.unwrap();
    assert_eq!(seen, [orphan("foreign", 0, false)]);
    let later = [all.clone(), vec![volume("later", stranger)]].concat();
    let seen = store.record_orphan_volumes(later, at(5)).await.unwrap();
    assert_eq!(seen, [orphan("foreign", 0, false), orphan("later", 5, false)]);
    assert_eq!(inspect(directory.path()).unwrap().unwrap().orphan_volumes().unwrap(), seen);

    // A volume that disappeared, or whose session exists in the meantime, starts again.
    assert_eq!(store.record_orphan_volumes(vec![], at(6)).await.unwrap(), []);
    let seen = store.record_orphan_volumes(all, at(7)).await.unwrap();
    assert_eq!(seen, [orphan("foreign", 7, false)]);

    // Without a server, no file is created beside the database.
    store.close().await;
    drop(store);
    assert_eq!(inspect(directory.path()).unwrap().unwrap().orphan_volumes().unwrap(), seen);
    assert!(!directory.path().join("claude-runner.db-wal").exists());
}

#[tokio::test]
async fn volumes_of_a_session_that_was_deleted_here_have_no_grace() {
    let (_directory, store) = open();
    let gone = session("s");
    store.commit(vec![Change::InsertSession(gone.clone())]).await.unwrap();
    let left = vec![volume("left", gone.key)];
    assert_eq!(store.record_orphan_volumes(left.clone(), at(0)).await.unwrap(), []);
    store.commit(vec![Change::DeleteSession(gone.key)]).await.unwrap();
    assert_eq!(store.record_orphan_volumes(left.clone(), at(1)).await.unwrap(), [orphan("left", 1, true)]);
    assert_eq!(store.record_orphan_volumes(left, at(2)).await.unwrap(), [orphan("left", 1, true)]);
}
