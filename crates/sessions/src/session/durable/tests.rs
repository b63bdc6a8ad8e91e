use domain::session::{API_KEY_VARIABLE, MAX_ENV_BYTES, MAX_VARIABLES, OAUTH_TOKEN_VARIABLE};
use domain::task::TaskRecord;
use secrecy::ExposeSecret as _;
use store::Change;
use store::{Store, StoreOptions};
use tempfile::TempDir;

use super::DurableState;
use crate::session::journal::FlushedTask;
use crate::session::request::{OwnCredential, Submission, SubmitError};
use crate::session::tasks::{WaitingTask, test_submission};

/// A session `demo` that no task was submitted to, and its store.
pub(crate) fn test_durable() -> (TempDir, Store, DurableState) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let durable = DurableState::new(&store, &<_>::default(), "demo".parse().unwrap(), None);
    (directory, store, durable)
}

/// Submits a task to a session of [`test_durable`].
pub(crate) fn accept(durable: &mut DurableState) -> WaitingTask {
    durable.accept(test_submission(), None, 0)
}

impl DurableState {
    /// Accepts a submission. Returns true if the commit of it will write the session's variables.
    fn accept_writes_env(&mut self, submission: Submission) -> bool {
        self.accept(submission, None, 0);
        self.journal.changes().iter().any(|change| matches!(change, Change::SetEnv { .. }))
    }
}

#[tokio::test]
async fn a_task_that_is_undone_leaves_nothing() {
    let (_directory, store, mut durable) = test_durable();
    let before = durable.savepoint();
    accept(&mut durable);
    assert!(durable.record().is_some() && durable.next_seq() == 2);
    durable.undo(before);
    assert!(durable.record().is_none() && durable.next_seq() == 1 && durable.is_at_rest());
    durable.flush().await.unwrap();
    assert!(store.session(durable.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_commit_returns_the_tasks_that_it_changed_and_ended() {
    let (_directory, store, mut durable) = test_durable();
    let task = accept(&mut durable).record;
    let written = TaskRecord { request: test_submission().request, ..task.clone() };
    let flushed = durable.flush().await.unwrap();
    assert_eq!((flushed.tasks, flushed.ended.len()), (vec![FlushedTask::New(written.clone())], 0));
    durable.end_task(task.clone());
    assert!(durable.ends(&task.id));
    let flushed = durable.flush().await.unwrap();
    assert_eq!((flushed.tasks, flushed.ended.len()), (vec![FlushedTask::Changed(task.clone())], 1));
    assert!(!durable.ends(&task.id));
    assert_eq!(store.task(&task.id).await.unwrap(), Some(written), "the texts stay in the store");
}

#[tokio::test]
async fn a_failed_commit_keeps_its_changes_until_it_is_repeated_or_undone() {
    let (_directory, store, mut durable) = test_durable();
    let before = durable.savepoint();
    accept(&mut durable);
    store.close().await;
    durable.flush().await.unwrap_err();
    assert!(durable.retry_at().is_some() && !durable.is_at_rest());
    durable.undo(before);
    assert!(durable.retry_at().is_none() && durable.is_at_rest());
}

#[tokio::test]
async fn a_session_has_one_credential_of_its_own() {
    let (_directory, _store, mut durable) = test_durable();
    let own = |name, value: &str| Some(OwnCredential { name, value: value.into() });
    assert!(!durable.set_credential(own(API_KEY_VARIABLE, "key")), "the session does not exist");
    accept(&mut durable);
    durable.set_credential(own(API_KEY_VARIABLE, "key"));
    durable.set_credential(own(OAUTH_TOKEN_VARIABLE, "token"));
    let names: Vec<&String> = durable.record().unwrap().env.keys().collect();
    assert_eq!(names, [OAUTH_TOKEN_VARIABLE]);
    assert!(durable.visible_env().is_empty());
    durable.set_credential(None);
    assert!(durable.record().unwrap().env.is_empty());
}

#[tokio::test]
async fn a_session_has_a_bounded_env_and_takes_tasks_that_add_nothing() {
    let (_directory, _store, mut durable) = test_durable();
    let with = |name: &str, bytes| Submission {
        env: [(name.to_owned(), "x".repeat(bytes).into())].into(),
        ..test_submission()
    };
    durable.check_env(&with("A", MAX_ENV_BYTES - 1)).unwrap();
    assert!(matches!(durable.check_env(&with("A", MAX_ENV_BYTES)), Err(SubmitError::EnvTooLarge(_))));
    // An earlier version accepted more.
    durable.accept(with("A", 2 * MAX_ENV_BYTES), None, 0);
    assert!(durable.check_env(&with("B", 1)).is_err());
    durable.check_env(&test_submission()).unwrap();
    durable.check_env(&with("A", 1)).unwrap();
}

#[tokio::test]
async fn a_session_has_a_bounded_number_of_variables() {
    let (_directory, _store, mut durable) = test_durable();
    let numbered = |range: std::ops::Range<usize>| {
        let env = range.map(|number| (format!("V{number}"), "x".into())).collect();
        Submission { env, ..test_submission() }
    };
    durable.accept(numbered(0..MAX_VARIABLES), None, 0);
    durable.check_env(&numbered(0..MAX_VARIABLES)).unwrap();
    let more = durable.check_env(&numbered(MAX_VARIABLES..MAX_VARIABLES + 1));
    assert!(matches!(more, Err(SubmitError::TooManyVariables(count)) if count == MAX_VARIABLES + 1));
}

#[tokio::test]
async fn the_same_variables_are_written_once() {
    let (_directory, store, mut durable) = test_durable();
    let with = |value: &str| Submission { env: [("A".to_owned(), value.into())].into(), ..test_submission() };
    durable.accept(with("one"), None, 0);
    durable.flush().await.unwrap();
    assert!(!durable.accept_writes_env(with("one")));
    assert!(durable.accept_writes_env(with("two")));
    durable.touch();
    durable.flush().await.unwrap();
    let stored = store.session(durable.id()).await.unwrap().unwrap();
    assert_eq!(stored.env["A"].expose_secret(), "two");
}

#[tokio::test]
async fn a_submission_has_the_sessions_agent_and_the_variables_that_it_needs() {
    let (_directory, _store, mut durable) = test_durable();
    let needs = || Submission { needs: vec!["SHOP_URL".to_owned()], ..test_submission() };
    assert!(matches!(durable.check_agent(&needs()), Err(SubmitError::EnvMissing { .. })));
    let env = [("SHOP_URL".to_owned(), "http://shop.example".into())].into();
    let given = Submission { env, ..needs() };
    durable.check_agent(&given).unwrap();
    durable.accept(given, None, 0);
    durable.check_agent(&needs()).unwrap();
    let other = Submission { agent: "other".parse().unwrap(), ..test_submission() };
    assert!(matches!(durable.check_agent(&other), Err(SubmitError::OtherAgent(_))));
}
