//! Opening a store: file modes, the lock, the key and the schema's version.

use std::os::unix::fs::PermissionsExt;

use super::fixture::{open, session};
use crate::{Change, KeyStore, Store, StoreError, StoreOptions};

#[tokio::test]
async fn files_are_the_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("new/data");
    let store = Store::open(&directory, StoreOptions::default()).unwrap();
    store.commit(vec![Change::InsertSession(session("a"))]).await.unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in std::fs::read_dir(&directory).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_second_opener_is_told_who_is_there() {
    let (directory, store) = open();
    let second = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(second, StoreError::Locked { .. }), "{second:?}");
    assert!(second.to_string().contains(&format!("(pid {})", std::process::id())), "{second}");
    store.close().await;
    let closed = store.commit(vec![]).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
    Store::open(directory.path(), StoreOptions::default()).unwrap();
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (directory, store) = open();
    drop(store);
    let database = directory.path().join("claude-runner.db");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let newer = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 99, .. }), "{newer:?}");
}

#[test]
fn a_database_that_is_none_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("claude-runner.db"), vec![b'x'; 10_000]).unwrap();
    let damaged = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(damaged, StoreError::Corrupt { .. }), "{damaged:?}");
}

#[test]
fn only_the_right_key_file_opens_the_store() {
    let (directory, store) = open();
    drop(store);
    let key_file = directory.path().join("secret.key");
    let key = std::fs::read(&key_file).unwrap();
    let reopen = || Store::open(directory.path(), StoreOptions::default());

    std::fs::write(&key_file, [7; 32]).unwrap();
    let wrong = reopen().unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKey { .. }), "{wrong:?}");
    std::fs::write(&key_file, b"short").unwrap();
    let malformed = reopen().unwrap_err();
    assert!(matches!(malformed, StoreError::MalformedKey { length: 5, .. }), "{malformed:?}");
    std::fs::remove_file(&key_file).unwrap();
    let missing = reopen().unwrap_err();
    assert!(matches!(missing, StoreError::MissingKey { .. }), "{missing:?}");
    assert!(!key_file.exists());

    let elsewhere = tempfile::tempdir().unwrap();
    let secret_key_file = elsewhere.path().join("key");
    std::fs::write(&secret_key_file, key).unwrap();
    let options = StoreOptions { secret_key_file: Some(secret_key_file), ..StoreOptions::default() };
    Store::open(directory.path(), options).unwrap();
}

#[test]
fn a_new_store_beside_the_files_of_an_earlier_one_is_refused() {
    for beside in ["secret.key", "instance"] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(beside), [7; 32]).unwrap();
        let lost = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
        assert!(matches!(lost, StoreError::LostDatabase { .. }), "{lost:?}");
        assert!(lost.to_string().contains(beside) && lost.to_string().contains("claude-runner restore"), "{lost}");
        // Other commands do not create the database either.
        let lost = KeyStore::open(directory.path()).err().unwrap();
        assert!(matches!(lost, StoreError::LostDatabase { .. }), "{lost:?}");
        assert!(!directory.path().join("claude-runner.db").exists());
    }
}
