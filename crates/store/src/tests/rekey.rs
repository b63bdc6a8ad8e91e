//! After a rekey that was interrupted at any point, the store opens every value, and the old key opens none.

use std::fs;
use std::path::Path;

use domain::session::SessionRecord;
use secrecy::ExposeSecret;

use super::fixture::{open, sandbox, session};
use crate::{Change, RekeyStep, Store, StoreError, StoreOptions, rekey};

async fn filled() -> tempfile::TempDir {
    let (directory, store) = open();
    for id in ["a", "b"] {
        let mut record = SessionRecord { sandbox: Some(sandbox(id, 1)), ..session(id) };
        record.env.insert("ONE".into(), format!("first of {id}").into());
        record.env.insert("TWO".into(), format!("second of {id}").into());
        store.commit(vec![Change::InsertSession(record)]).await.unwrap();
    }
    store.close().await;
    directory
}

async fn assert_whole(directory: &Path, options: StoreOptions) {
    let store = Store::open(directory, options).unwrap();
    for id in ["a", "b"] {
        let record = store.session(&id.parse().unwrap()).await.unwrap().unwrap();
        let env: Vec<&str> = record.env.values().map(ExposeSecret::expose_secret).collect();
        assert_eq!(env, [format!("first of {id}"), format!("second of {id}")]);
        assert_eq!(record.sandbox.unwrap().link_secret.expose_secret(), format!("link-secret-of-{id}"));
    }
    store.close().await;
}

/// Copies the files as a crash at this moment would leave them. The WAL's index is in memory then.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
    }
    to
}

fn sealed(directory: &Path) -> Vec<Vec<u8>> {
    let connection = rusqlite::Connection::open(directory.join("claude-runner.db")).unwrap();
    let mut select = connection.prepare("SELECT value FROM session_env").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_crash_after_any_step_loses_no_value() {
    let directory = filled().await;
    let mut crashes = Vec::new();
    rekey(directory.path(), None, |step| crashes.push((step, copy(directory.path())))).unwrap();
    let steps: Vec<_> = crashes.iter().map(|(step, _)| step.clone()).collect();
    let key = fs::canonicalize(directory.path()).unwrap().join("secret.key");
    let new = key.with_file_name("secret.key.new");
    let expected = [RekeyStep::KeyMade(new), RekeyStep::Sealed(6), RekeyStep::Wiped, RekeyStep::Replaced(key.clone())];
    assert_eq!(steps, expected);
    for (step, crashed) in crashes {
        let old_key = fs::read(crashed.path().join("secret.key")).unwrap();
        assert_whole(crashed.path(), StoreOptions::default()).await;
        assert!(!crashed.path().join("secret.key.new").exists(), "{step:?}");
        let kept = fs::read(crashed.path().join("secret.key")).unwrap() == old_key;
        assert_eq!(kept, matches!(step, RekeyStep::KeyMade(_) | RekeyStep::Replaced(_)), "{step:?}");
        // Repeat the rekey on the files that the crash left.
        rekey(crashed.path(), None, |_| ()).unwrap();
        assert_whole(crashed.path(), StoreOptions::default()).await;
    }
}

#[tokio::test]
async fn the_old_key_opens_nothing_and_nothing_it_opens_is_left() {
    let directory = filled().await;
    let old_key = fs::read(directory.path().join("secret.key")).unwrap();
    // Check sealed values, and values in freed pages.
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let mut gone = session("gone");
    gone.env.insert("LONG".into(), "x".repeat(30_000).into());
    let key = gone.key;
    store.commit(vec![Change::InsertSession(gone)]).await.unwrap();
    let old_values = sealed(directory.path());
    assert_eq!(old_values.len(), 5);
    store.commit(vec![Change::DeleteSession(key)]).await.unwrap();
    store.close().await;
    rekey(directory.path(), None, |_| ()).unwrap();
    for file in fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()) {
        let bytes = fs::read(&file).unwrap();
        for value in &old_values {
            // A long value is split across pages, so search for a part of it.
            let piece = &value[value.len() / 2..][..16];
            let left = bytes.windows(piece.len()).any(|window| window == piece);
            assert!(!left, "{} has what the old key opens", file.display());
        }
    }
    assert_whole(directory.path(), StoreOptions::default()).await;
    fs::write(directory.path().join("secret.key"), old_key).unwrap();
    let wrong = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKey { .. }), "{wrong:?}");
}

#[tokio::test]
async fn a_key_elsewhere_is_replaced_through_its_link() {
    let directory = filled().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (key, link) = (elsewhere.path().join("the.key"), elsewhere.path().join("link"));
    fs::rename(directory.path().join("secret.key"), &key).unwrap();
    std::os::unix::fs::symlink(&key, &link).unwrap();
    let before = fs::read(&key).unwrap();
    rekey(directory.path(), Some(&link), |_| ()).unwrap();
    assert!(link.is_symlink());
    assert_ne!(fs::read(&key).unwrap(), before);
    assert_whole(directory.path(), StoreOptions { secret_key_file: Some(link), ..StoreOptions::default() }).await;
}

#[tokio::test]
async fn no_store_and_a_store_in_use_are_left_alone() {
    let (directory, store) = open();
    let locked = rekey(directory.path(), None, |_| ()).unwrap_err();
    assert!(matches!(locked, StoreError::Locked { .. }), "{locked:?}");
    store.close().await;
    let empty = tempfile::tempdir().unwrap();
    let missing = rekey(empty.path(), None, |_| ()).unwrap_err();
    assert!(matches!(missing, StoreError::NoDatabase { .. }), "{missing:?}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn swapped_values_are_refused_by_name_and_the_other_session_goes_on() {
    const SAID: &str =
        "the value of ONE in the env of session a cannot be opened: it was sealed for another place, or modified";

    let directory = filled().await;
    let connection = rusqlite::Connection::open(directory.path().join("claude-runner.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TEMP TABLE old AS SELECT * FROM session_env WHERE session = (SELECT number FROM sessions WHERE id = 'a');
             UPDATE session_env SET value = (SELECT value FROM old WHERE old.name <> session_env.name)
             WHERE session IN (SELECT session FROM old);",
        )
        .unwrap();
    drop(connection);
    let refused = rekey(directory.path(), None, |_| ()).unwrap_err();
    assert_eq!(refused.to_string(), SAID);

    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let broken = store.session(&"a".parse().unwrap()).await.unwrap_err();
    assert_eq!(broken.to_string(), SAID);
    assert!(store.session(&"b".parse().unwrap()).await.unwrap().is_some());
    assert!(!directory.path().join("secret.key.new").exists(), "the key that was never used is left");
}
