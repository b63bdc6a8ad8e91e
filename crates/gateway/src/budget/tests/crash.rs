//! Budgets on a store that is opened again.

use domain::budget::{InstallationLimits, Payer};
use domain::task::TaskId;
use domain::usage::{Account, Balance, Cost, Usage};
use observe::metrics::{Metrics, Standing};
use store::{Store, StoreOptions};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use crate::budget::{Budgets, Certainty, Refusal};

const CENT: Cost = Cost::from_nano_dollars(10_000_000);

async fn open(directory: &TempDir, limits: InstallationLimits) -> (Store, Budgets, TaskTracker) {
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let tracker = TaskTracker::new();
    (store.clone(), Budgets::open(store, limits, tracker.clone()).await.unwrap(), tracker)
}

#[tokio::test]
async fn what_was_open_at_a_crash_is_charged_as_estimated_once() {
    let directory = tempfile::tempdir().unwrap();
    let limits = InstallationLimits { total: Some(CENT), ..InstallationLimits::default() };
    let payer = Payer {
        task: Some(TaskId::generate()),
        session: Some("s".parse().unwrap()),
        key: Some("k".parse().unwrap()),
        ..Payer::default()
    };
    let task = payer.task.clone().unwrap();

    let (store, budgets, tracker) = open(&directory, limits).await;
    let mut known = budgets.try_reserve(&payer, "m", CENT, Certainty::Bounded).await.unwrap().unwrap();
    assert!(
        budgets.try_reserve(&payer, "m", CENT, Certainty::Bounded).await.unwrap().is_none(),
        "the first may use up all of it"
    );
    known.charge.usage = Usage { requests: 1, output_tokens: 7, ..Usage::default() };
    known.charge.cost = Cost::from_nano_dollars(1000);
    drop(known);
    let lost = budgets.try_reserve(&payer, "m", CENT, Certainty::Bounded).await.unwrap().unwrap();
    // The process dies, so the request is never settled.
    std::mem::forget(lost);
    tracker.close();
    tracker.wait().await;
    store.close().await;
    drop((store, budgets));

    let expected = Balance { spent: CENT + Cost::from_nano_dollars(1000), assumed: CENT };
    for _ in 0..2 {
        let (store, budgets, _) = open(&directory, limits).await;
        assert_eq!(budgets.of_task(&task).await.unwrap(), expected);
        let accounts =
            vec![Account::Session("s".parse().unwrap()), Account::Key("k".parse().unwrap()), Account::Installation];
        assert_eq!(store.balances(accounts).await.unwrap(), [expected; 3]);
        let spent = budgets.spent(&payer).await.unwrap().unwrap();
        assert_eq!(
            spent.to_string(),
            "the installation's budget of $0.0100 is used up: $0.0100 were spent (MAX_TOTAL_COST_USD)"
        );
        assert!(matches!(budgets.try_reserve(&payer, "m", CENT, Certainty::Bounded).await, Err(Refusal::Spent(_))));
        store.close().await;
    }
}

#[tokio::test]
async fn a_reservation_is_written_before_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = Metrics::default();
    let options = StoreOptions { metrics: metrics.clone(), ..StoreOptions::default() };
    let store = Store::open(directory.path(), options).unwrap();
    let tracker = TaskTracker::new();
    let budgets = Budgets::open(store.clone(), InstallationLimits::default(), tracker.clone()).await.unwrap();
    let transactions = || {
        let text = metrics.expose(&Standing::default());
        let count = text.lines().find_map(|line| line.strip_prefix("claude_runner_store_commit_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let before = transactions();
    let reservation = budgets.try_reserve(&Payer::default(), "m", CENT, Certainty::Bounded).await.unwrap().unwrap();
    assert_eq!(transactions(), before + 1);
    // The request was never sent, so it leaves no charge.
    drop(reservation);
    tracker.close();
    tracker.wait().await;
    assert_eq!(store.balances(vec![Account::Installation]).await.unwrap(), [Balance::default()]);
    store.close().await;
}
