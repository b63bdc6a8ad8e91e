use store::{SCHEMA_VERSION, Store, StoreOptions};

use super::super::check::Status;
use super::look;

#[tokio::test]
async fn a_store_is_seen_in_each_of_its_states() {
    let base = tempfile::tempdir().unwrap();
    let data_dir = base.path().join("data");
    let scratch = || tempfile::tempdir_in(base.path()).unwrap();

    let before = look(&data_dir, Some(&scratch())).await;
    assert_eq!((before.check.status, before.in_use, before.has_schema), (Status::Ok, false, false));
    assert!(!data_dir.exists());

    let store = Store::open(&data_dir, StoreOptions::default()).unwrap();
    let running = look(&data_dir, Some(&scratch())).await;
    assert_eq!(
        (running.check.detail, running.in_use),
        (format!("in use by a server (pid {})", std::process::id()), true)
    );

    store.close().await;
    drop(store);
    let after = look(&data_dir, Some(&scratch())).await;
    assert_eq!((after.check.status, after.in_use, after.has_schema), (Status::Ok, false, true));

    // The file belongs to another program, or to a newer version of this one.
    let database = data_dir.join("claude-runner.db");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&(SCHEMA_VERSION + 1).to_be_bytes());
    std::fs::write(&database, &bytes).unwrap();
    let newer = look(&data_dir, Some(&scratch())).await.check;
    assert_eq!(newer.status, Status::Fail);
    assert!(newer.detail.contains(&format!("schema version {}", SCHEMA_VERSION + 1)), "{}", newer.detail);
}
