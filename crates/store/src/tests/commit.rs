//! Commits are atomic, ordered and grouped, and survive a kill.

use domain::session::SessionRecord;
use futures::future::join_all;
use observe::metrics::{Metrics, Standing};

use super::fixture::{
    append, at, completed, events, insert, lines, numbers, open, open_with, sandbox, session, task,
    with_blocked_writer, with_writer,
};
use crate::{Change, EventBounds, Store, StoreError, StoreOptions};

#[tokio::test]
async fn what_was_written_is_read_back() {
    let (_directory, store) = open();
    let mut record = SessionRecord { claude_session_id: Some("c".into()), turns: 3, ..session("a") };
    record.env.insert("ACME_API_TOKEN".into(), "swordfish".into());
    record.sandbox = Some(sandbox("one", 4));
    let mut first = task(&record, "hello");
    store.commit(vec![Change::InsertSession(record.clone()), insert(&first, None)]).await.unwrap();
    first = completed(&first, at(9));
    store.commit(vec![Change::UpdateTask(first.clone())]).await.unwrap();

    let read = store.session(&record.id).await.unwrap().unwrap();
    // `Debug` hides secrets, so compare them separately.
    assert_eq!(format!("{read:?}"), format!("{record:?}"));
    assert!(!format!("{read:?}").contains("swordfish"));
    assert_eq!(secrets(&read), secrets(&record));
    assert_eq!(store.task(&first.id).await.unwrap(), Some(first));
    assert_eq!((store.session_count().await.unwrap(), store.task_count().await.unwrap()), (1, 1));
}

#[tokio::test]
async fn a_list_is_applied_all_or_not_at_all_and_fails_nobody_else() {
    let (_directory, store) = open();
    let (a, b, c) = (session("a"), session("b"), session("c"));
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    let failing = store.commit(vec![
        Change::InsertSession(b.clone()),
        append(b.key, None, events(1, 3)),
        Change::InsertSession(SessionRecord { id: a.id.clone(), ..session("other") }),
    ]);
    let fine = store.commit(vec![Change::InsertSession(c.clone())]);
    let (failed, fine) = tokio::join!(failing, fine);
    assert!(matches!(failed, Err(StoreError::Duplicate(_))), "{failed:?}");
    fine.unwrap();
    assert!(store.session(&b.id).await.unwrap().is_none());
    assert!(store.session(&c.id).await.unwrap().is_some());
    assert_eq!(store.bounds(b.key).await.unwrap(), None);
}

#[tokio::test]
async fn event_numbers_have_no_holes() {
    let (_directory, store) = open();
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone()), append(a.key, None, events(1, 2))]).await.unwrap();
    for wrong in [events(2, 2), events(4, 4), [events(3, 3), events(5, 5)].concat()] {
        let refused = store.commit(vec![append(a.key, None, wrong)]).await;
        assert!(matches!(refused, Err(StoreError::OutOfSequence { .. })), "{refused:?}");
    }
    store.commit(vec![append(a.key, None, events(3, 3))]).await.unwrap();
    assert_eq!(store.events(a.key, 0, 10).await.unwrap(), events(1, 3));
    assert_eq!(store.events(a.key, 1, 1).await.unwrap(), events(2, 2));
    assert_eq!(store.events(a.key, u64::MAX, 10).await.unwrap(), []);
    let unknown = store.commit(vec![append(session("x").key, None, events(1, 1))]).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchSession(_))), "{unknown:?}");
}

#[tokio::test]
async fn updating_a_session_moves_neither_its_events_nor_its_frame() {
    let (_directory, store) = open();
    let a = SessionRecord { sandbox: Some(sandbox("one", 4)), ..session("a") };
    let event = Change::AppendEvents { session: a.key, task: None, events: events(1, 2) };
    let moved = |last_frame| Change::MoveSandbox { session: a.key, last_frame, progress: "{}".to_owned() };
    store
        .commit(vec![Change::InsertSession(a.clone()), event, moved(9), Change::UpdateSession(a.clone())])
        .await
        .unwrap();
    let read = store.session(&a.id).await.unwrap().unwrap();
    assert_eq!((read.last_seq, read.sandbox.unwrap().last_frame), (2, 9));

    let other = SessionRecord { sandbox: Some(sandbox("two", 1)), ..a.clone() };
    store.commit(vec![Change::UpdateSession(other)]).await.unwrap();
    let read = store.session(&a.id).await.unwrap().unwrap();
    assert_eq!((read.last_seq, read.sandbox.unwrap().last_frame), (2, 1));

    store.commit(vec![moved(5)]).await.unwrap();
    assert_eq!(store.session(&a.id).await.unwrap().unwrap().sandbox.unwrap().last_frame, 5);
}

#[tokio::test]
async fn the_variables_of_a_session_are_replaced_on_their_own() {
    let (directory, store) = open();
    let mut a = session("a");
    a.env = [("ONE".into(), "first".into()), ("TWO".into(), "second".into())].into();
    store.commit(vec![Change::InsertSession(a.clone()), Change::UpdateSession(a.without_env())]).await.unwrap();
    assert_eq!(secrets(&store.session(&a.id).await.unwrap().unwrap()), ["first", "second"]);
    a.env = [("TWO".into(), "third".into())].into();
    store.commit(vec![Change::SetEnv { session: a.key, env: a.env.clone() }]).await.unwrap();
    let read = store.session(&a.id).await.unwrap().unwrap();
    assert_eq!((read.env.len(), secrets(&read)), (1, vec!["third".to_owned()]));

    // A value that stays the same is not sealed again.
    let query = "SELECT value FROM session_env WHERE name = 'TWO'";
    let database = rusqlite::Connection::open(directory.path().join("claude-runner.db")).unwrap();
    let sealed = || database.query_row(query, [], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let before = sealed();
    a.env.insert("THREE".into(), "new".into());
    store.commit(vec![Change::SetEnv { session: a.key, env: a.env.clone() }]).await.unwrap();
    assert_eq!(secrets(&store.session(&a.id).await.unwrap().unwrap()), ["new", "third"]);
    assert_eq!(sealed(), before);

    let unknown = store.commit(vec![Change::SetEnv { session: session("x").key, env: [].into() }]).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchSession(_))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_committers_keep_their_order() {
    const COMMITS: u64 = 40;
    let (_directory, store) = open();
    let sessions: Vec<_> = (0..8).map(|n| session(&format!("s{n}"))).collect();
    let tracker = tokio_util::task::TaskTracker::new();
    for record in sessions.clone() {
        let store = store.clone();
        tracker.spawn(async move {
            let first = task(&record, "m");
            store.commit(vec![Change::InsertSession(record.clone()), insert(&first, None)]).await.unwrap();
            for n in 0..COMMITS {
                store.commit(vec![append(record.key, Some(&first), events(n * 3 + 1, n * 3 + 3))]).await.unwrap();
                // Every later read sees the commit.
                let bounds = store.bounds(record.key).await.unwrap().unwrap();
                assert_eq!(bounds, EventBounds { earliest: 1, latest: n * 3 + 3 });
            }
        });
    }
    tracker.close();
    tracker.wait().await;
    for record in &sessions {
        assert_eq!(numbers(&store, record.key).await, (1..=COMMITS * 3).collect::<Vec<_>>());
    }
}

fn transactions(metrics: &Metrics) -> u64 {
    let text = metrics.expose(&Standing::default());
    let count = text.lines().find_map(|line| line.strip_prefix("claude_runner_store_commit_seconds_count "));
    count.unwrap().parse().unwrap()
}

#[tokio::test]
async fn commits_that_wait_share_a_transaction() {
    const COMMITS: usize = 100;
    let metrics = Metrics::default();
    let (_directory, store) = open_with(StoreOptions { metrics: metrics.clone(), ..StoreOptions::default() });
    let before = with_blocked_writer(&store, COMMITS, async {
        let before = transactions(&metrics);
        let commit = |n: usize| store.commit(vec![Change::InsertSession(session(&n.to_string()))]);
        join_all((0..COMMITS).map(commit)).await.into_iter().for_each(Result::unwrap);
        before
    })
    .await;
    // One transaction is the blocked one of the writer; the other contains all that waited.
    assert_eq!(transactions(&metrics) - before, 2);
}

#[tokio::test]
async fn a_lost_transaction_is_done_again_one_by_one() {
    let (_directory, store) = open();
    let (a, b) = (session("a"), session("b"));
    with_blocked_writer(&store, 3, async {
        let (first, (), second) = tokio::join!(
            store.commit(vec![Change::InsertSession(a.clone())]),
            // SQLite itself does this after some errors.
            with_writer(&store, |connection| connection.execute_batch("ROLLBACK").unwrap()),
            store.commit(vec![Change::InsertSession(b.clone()), append(b.key, None, events(1, 2))]),
        );
        first.unwrap();
        second.unwrap();
    })
    .await;
    assert!(store.session(&a.id).await.unwrap().is_some());
    assert_eq!(numbers(&store, b.key).await, [1, 2]);
}

#[tokio::test]
async fn committed_is_on_the_disk_when_the_process_is_killed() {
    let (directory, store) = open();
    let a = session("a");
    let first = task(&a, "m");
    let list = vec![
        Change::InsertSession(a.clone()),
        insert(&first, None),
        append(a.key, Some(&first), events(1, 5)),
        lines(&first, &["{}", "=== MARK ==="]),
    ];
    store.commit(list).await.unwrap();
    // Copy the files while the store runs, without a checkpoint or a last write, as a killed process leaves them.
    let left = tempfile::tempdir().unwrap();
    for name in ["claude-runner.db", "claude-runner.db-wal", "secret.key"] {
        std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
    }
    let reopened = Store::open(left.path(), StoreOptions::default()).unwrap();
    assert_eq!(reopened.events(a.key, 0, 10).await.unwrap(), events(1, 5));
    assert_eq!(reopened.task_lines(&first.id, 0, 10).await.unwrap().len(), 2);
    assert_eq!(reopened.unfinished_tasks(a.key).await.unwrap().len(), 1);
    reopened.commit(vec![append(a.key, Some(&first), events(6, 6))]).await.unwrap();
}

#[tokio::test]
async fn dropping_the_store_writes_what_was_accepted() {
    let (directory, store) = open();
    let a = session("a");
    let mut commit = Box::pin(store.commit(vec![Change::InsertSession(a.clone())]));
    // The list is submitted, but nothing waits for the answer.
    let _ = futures::poll!(&mut commit);
    drop(commit);
    drop(store);
    let reopened = Store::open(directory.path(), StoreOptions::default()).unwrap();
    assert!(reopened.session(&a.id).await.unwrap().is_some());
}

fn secrets(record: &SessionRecord) -> Vec<String> {
    use secrecy::ExposeSecret;
    let env = record.env.values();
    let link = record.sandbox.iter().map(|sandbox| &sandbox.link_secret);
    env.chain(link).map(|secret| secret.expose_secret().to_owned()).collect()
}
