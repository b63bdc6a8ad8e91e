//! Webhooks become due with the task's end, are retried, replayed, removed, and sealed.

use std::time::Duration;

use domain::session::SessionRecord;
use domain::task::TaskRecord;
use domain::webhook::{Attempt, Attempted, Delivery, DeliveryStatus, Due, Outcome, Target, WebhookId};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::fixture::{append, at, completed, events, execute, insert, open, open_with, session, task, with_writer};
use crate::{BusyWebhooks, Change, Store, StoreOptions, WebhookFilter, rekey};

const URL: &str = "https://a.example/hooks?token=hidden";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn hook(task: &TaskRecord, url: &str) -> Change {
    let target = Target::new(url, Some(SECRET)).unwrap();
    Change::InsertWebhook { id: WebhookId::generate(), task: task.clone(), target }
}

/// An unfinished task with a webhook.
async fn submitted(store: &Store, session: &SessionRecord, url: &str) -> TaskRecord {
    let task = task(session, "hello");
    let told = append(session.key, Some(&task), events(1, 1));
    store
        .commit(vec![Change::InsertSession(session.clone()), insert(&task, None), hook(&task, url), told])
        .await
        .unwrap();
    task
}

async fn due(store: &Store, now: Timestamp) -> Vec<Due> {
    store.due_webhooks(now, BusyWebhooks::default(), 10).await.unwrap()
}

async fn all(store: &Store) -> Vec<Delivery> {
    store.webhooks(&WebhookFilter::default(), None, 10).await.unwrap().items
}

fn attempted(due: &Due, status: u16, outcome: Outcome) -> Change {
    let attempt = Attempt { time: at(50), status: Some(status), error: None, duration_ms: 3 };
    Change::AttemptedWebhook(Attempted { number: due.number, round: due.round, attempt, outcome })
}

#[tokio::test]
async fn it_is_due_with_the_end_and_goes_on_until_it_is_delivered() {
    let (_directory, store) = open();
    let task = submitted(&store, &session("s"), URL).await;
    assert_eq!((due(&store, at(99)).await.len(), all(&store).await.len()), (0, 0));
    let ended = completed(&task, at(10));
    store.commit(vec![Change::UpdateTask(ended.clone())]).await.unwrap();
    store.webhooks_made_due().await;
    assert_eq!(due(&store, at(9)).await.len(), 0);
    let [first] = <[Due; 1]>::try_from(due(&store, at(10)).await).unwrap();
    assert_eq!(
        (first.task.as_str(), first.event.as_str(), first.host.as_str()),
        (task.id.as_str(), "task.completed", "a.example:443")
    );
    let target = first.target.as_ref().unwrap();
    assert_eq!((target.url().as_str(), target.secret().unwrap().text().expose_secret()), (URL, SECRET));
    // Deliveries in progress, and those of hosts at their limit, are excluded.
    let busy = [
        BusyWebhooks { numbers: vec![first.number], ..BusyWebhooks::default() },
        BusyWebhooks { keys: vec![first.key.clone()], ..BusyWebhooks::default() },
        BusyWebhooks { hosts: vec![(first.key.clone(), first.host.clone())], ..BusyWebhooks::default() },
    ];
    for busy in busy {
        assert!(store.due_webhooks(at(99), busy.clone(), 10).await.unwrap().is_empty(), "{busy:?}");
        assert_eq!(store.next_webhook(busy).await.unwrap(), None);
    }
    let others = BusyWebhooks { hosts: vec![("other".to_owned(), first.host.clone())], ..BusyWebhooks::default() };
    assert_eq!(store.due_webhooks(at(99), others, 10).await.unwrap().len(), 1, "another key's");
    assert_eq!(store.next_webhook(BusyWebhooks::default()).await.unwrap(), Some(at(10)));

    store.commit(vec![attempted(&first, 500, Outcome::Again { at: at(60) })]).await.unwrap();
    assert_eq!((due(&store, at(59)).await.len(), store.pending_webhooks().await.unwrap()), (0, 1));
    let [second] = <[Due; 1]>::try_from(due(&store, at(60)).await).unwrap();
    assert_eq!((second.tries, second.id), (1, first.id));

    // The result of an attempt does not end a delivery that was replayed during the attempt.
    store.commit(vec![Change::ReplayWebhook(first.id)]).await.unwrap();
    store.commit(vec![attempted(&second, 200, Outcome::Delivered)]).await.unwrap();
    let [third] = <[Due; 1]>::try_from(due(&store, at(60)).await).unwrap();
    assert_eq!((third.tries, third.round, third.id), (0, 1, first.id));
    store.commit(vec![attempted(&third, 200, Outcome::Delivered)]).await.unwrap();
    // A second end of the task changes nothing, and neither does an attempt at an unknown delivery.
    store
        .commit(vec![Change::UpdateTask(ended), attempted(&Due { number: 99, ..third }, 200, Outcome::Failed)])
        .await
        .unwrap();
    let [delivery] = <[Delivery; 1]>::try_from(all(&store).await).unwrap();
    assert_eq!((delivery.status, delivery.created, delivery.next_attempt), (DeliveryStatus::Delivered, at(10), None));
    assert_eq!(delivery.url, "https://a.example/hooks?…");
    let statuses: Vec<Option<u16>> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(200), Some(200)]);
    assert_eq!((due(&store, at(99)).await.len(), store.pending_webhooks().await.unwrap()), (0, 0));
}

#[tokio::test]
async fn a_damaged_delivery_fails_and_blocks_no_other() {
    for damage in
        ["id = x'00'", "session = x'00'", "event = CAST(x'ff' AS TEXT)", "tries = -1, target = x''", "attempts = '['"]
    {
        let (directory, store) = open();
        for name in ["damaged", "whole"] {
            let task = submitted(&store, &session(name), URL).await;
            store.commit(vec![Change::UpdateTask(completed(&task, at(10)))]).await.unwrap();
        }
        execute(&directory, &format!("UPDATE webhooks SET {damage} WHERE session_id = 'damaged'"));
        let [first, other] = <[Due; 2]>::try_from(due(&store, at(10)).await).unwrap();
        assert!(other.target.is_some());
        // As the dispatcher does with a delivery that has no target.
        store.commit(vec![attempted(&first, 500, Outcome::Failed)]).await.unwrap();
        assert_eq!(due(&store, at(10)).await.len(), 1, "{damage}");
    }
}

#[tokio::test]
async fn attempts_that_are_kept_have_a_bound() {
    let (_directory, store) = open();
    let task = submitted(&store, &session("s"), URL).await;
    store.commit(vec![Change::UpdateTask(completed(&task, at(10)))]).await.unwrap();
    let [due] = <[Due; 1]>::try_from(due(&store, at(10)).await).unwrap();
    let again = |status| attempted(&due, status, Outcome::Again { at: at(20) });
    store.commit((100..160).map(again).collect()).await.unwrap();
    let attempts = &all(&store).await[0].attempts;
    assert_eq!((attempts.len(), attempts[0].status), (Attempt::KEPT, Some(110)));
}

#[tokio::test]
async fn what_has_ended_goes_with_the_log_and_what_is_due_stays() {
    let (_directory, store) =
        open_with(StoreOptions { max_age: Some(Duration::from_secs(100)), ..StoreOptions::default() });
    let sessions = [session("kept"), session("deleted"), session("due")];
    for session in &sessions {
        let task = submitted(&store, session, URL).await;
        store.commit(vec![Change::UpdateTask(completed(&task, at(10)))]).await.unwrap();
    }
    for due in &due(&store, at(10)).await[..2] {
        store.commit(vec![attempted(due, 200, Outcome::Delivered)]).await.unwrap();
    }
    store.commit(vec![Change::DeleteSession(sessions[1].key)]).await.unwrap();
    store.prune(at(100)).await.unwrap();
    assert_eq!(all(&store).await.len(), 3);
    store.prune(at(200)).await.unwrap();
    let left: Vec<String> = all(&store).await.iter().map(|delivery| delivery.session_id.to_string()).collect();
    assert_eq!(left, ["due"]);
}

#[tokio::test]
async fn a_target_is_sealed_and_a_new_key_seals_it_anew() {
    let (directory, store) = open();
    let first = submitted(&store, &session("s"), URL).await;
    let second = submitted(&store, &session("t"), "https://b.example/").await;
    store.close().await;
    drop(store);
    let holds = |text: &str| {
        let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.is_file())
            .any(|path| std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(!holds("token=hidden") && !holds(&SECRET[6..]));

    rekey(directory.path(), None, |_| {}).unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    for task in [&first, &second] {
        store.commit(vec![Change::UpdateTask(completed(task, at(10)))]).await.unwrap();
    }
    let urls: Vec<String> =
        due(&store, at(10)).await.iter().map(|due| due.target.as_ref().unwrap().url().to_string()).collect();
    assert_eq!(urls, [URL, "https://b.example/"]);

    // A target that was moved to another row cannot be opened, and the other delivery continues.
    with_writer(&store, |connection| {
        let swap = "UPDATE webhooks SET target = (SELECT target FROM webhooks ORDER BY number LIMIT 1)";
        connection.execute(swap, []).unwrap();
    })
    .await;
    let found = due(&store, at(10)).await;
    assert!(found[0].target.is_some() && found[1].target.is_none());
}
