use std::sync::Arc;

use bytes::Bytes;
use domain::agent::AgentName;
use domain::event::StoredEvent;
use domain::session::{Epoch, EventCursor, SessionKey, SessionRecord};
use futures::FutureExt as _;
use jiff::Timestamp;
use store::{Change, Store, StoreOptions};

use super::{EventLog, Frames, Missing, PAGE_BYTES, Page, TAIL_BYTES};

fn events(from: u64, to: u64, bytes: usize) -> Vec<StoredEvent> {
    (from..=to).map(|seq| StoredEvent { seq, json: Bytes::from(vec![b'x'; bytes]) }).collect()
}

fn inside(frames: &Frames) -> Vec<StoredEvent> {
    frames.events().map(|(seq, json)| StoredEvent { seq, json }).collect()
}

fn inside_page(page: &Page) -> Vec<StoredEvent> {
    match page {
        Page::Events(frames) => inside(frames),
        other => panic!("{other:?}"),
    }
}

fn gap(page: &Page) -> Missing {
    match page {
        Page::Gap(missing) => *missing,
        other => panic!("{other:?}"),
    }
}

struct World {
    directory: tempfile::TempDir,
    store: Store,
    key: SessionKey,
    log: Arc<EventLog>,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let (key, epoch) = (SessionKey::generate(), Epoch::generate());
    let record = SessionRecord {
        agent: AgentName::default(),
        key,
        id: "a".parse().unwrap(),
        epoch,
        created: Timestamp::now(),
        last_active: Timestamp::now(),
        turns: 0,
        claude_session_id: None,
        env: std::collections::BTreeMap::new(),
        last_seq: 0,
        sandbox: None,
        repository: None,
    };
    store.commit(vec![Change::InsertSession(record)]).await.unwrap();
    let log = Arc::new(EventLog::new(key, epoch, store.clone(), 0));
    World { directory, store, key, log }
}

impl World {
    async fn append(&self, events: Vec<StoredEvent>) {
        let change = Change::AppendEvents { session: self.key, task: None, events: events.clone() };
        self.store.commit(vec![change]).await.unwrap();
        self.log.publish(&events);
    }

    /// Returns everything after `since`, as one subscriber reads it.
    async fn read(&self, since: u64, until: u64) -> Vec<u64> {
        let mut cursor = self.log.cursor(since.into());
        let mut seen = Vec::new();
        while cursor.since() < until {
            let events = inside_page(&cursor.next().await.unwrap());
            let bytes: usize = events.iter().map(|event| event.json.len()).sum();
            assert!(events.len() == 1 || bytes <= PAGE_BYTES, "{bytes} bytes in a page");
            seen.extend(events.into_iter().map(|event| event.seq));
        }
        seen
    }
}

#[tokio::test]
async fn replay_and_live_meet_without_a_hole_or_a_double() {
    let world = world().await;
    // The events exceed the tail, so that their beginning comes from the store.
    let bytes = 4096;
    let count = (TAIL_BYTES / bytes * 3) as u64;
    for from in (1..=count).step_by(16) {
        world.append(events(from, (from + 15).min(count), bytes)).await;
    }
    for since in [0, 1, count / 2, count - 1] {
        assert_eq!(world.read(since, count).await, (since + 1..=count).collect::<Vec<_>>(), "since {since}");
    }
}

#[tokio::test]
async fn a_subscriber_waits_for_what_comes() {
    let world = world().await;
    let mut cursor = world.log.cursor(0.into());
    let (page, ()) = tokio::join!(cursor.next(), world.append(events(1, 2, 10)));
    assert_eq!(inside_page(&page.unwrap()), events(1, 2, 10));
    world.log.close();
    assert!(matches!(cursor.next().await.unwrap(), Page::End));
}

#[tokio::test]
async fn a_page_of_large_events_is_small() {
    let world = world().await;
    world.append(events(1, 2, PAGE_BYTES / 2 + 1)).await;
    world.append(events(3, 3, PAGE_BYTES / 4)).await;
    let mut cursor = world.log.cursor(0.into());
    for expected in [vec![1], vec![2], vec![3]] {
        let events = inside_page(&cursor.next().await.unwrap());
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), expected);
    }
    // An event larger than a page is a page of its own.
    world.append(events(4, 4, PAGE_BYTES + 1)).await;
    assert_eq!(inside_page(&cursor.next().await.unwrap()), events(4, 4, PAGE_BYTES + 1));
}

#[tokio::test]
async fn events_that_came_one_by_one_are_read_together() {
    let world = world().await;
    for seq in 1..=100 {
        world.append(events(seq, seq, 20)).await;
    }
    let page = world.log.cursor(3.into()).next().await.unwrap();
    assert_eq!(inside_page(&page), events(4, 100, 20));
}

#[tokio::test]
async fn what_retention_removed_is_told_as_a_gap() {
    let world = world().await;
    // This is the state after a restart: the tail is empty, and the first 9 events were removed.
    let log = Arc::new(EventLog::new(world.key, world.log.epoch(), world.store.clone(), 9));
    let removed = Change::AppendEvents { session: world.key, task: None, events: events(1, 9, 10) };
    world.store.commit(vec![removed]).await.unwrap();
    let database = rusqlite::Connection::open(world.directory.path().join("claude-runner.db")).unwrap();
    database.execute("DELETE FROM events", []).unwrap();

    let mut cursor = log.cursor(3.into());
    assert_eq!(gap(&cursor.next().await.unwrap()), Missing { from: 4, to: 9, renewed: false });
    let (next, ()) = tokio::join!(cursor.next(), async {
        let change = Change::AppendEvents { session: world.key, task: None, events: events(10, 10, 10) };
        world.store.commit(vec![change]).await.unwrap();
        log.publish(&events(10, 10, 10));
    });
    assert_eq!(inside_page(&next.unwrap()), events(10, 10, 10));
}

#[tokio::test]
async fn a_deleted_session_ends_its_streams() {
    let world = world().await;
    world.append(events(1, 3, 10)).await;
    world.store.commit(vec![Change::DeleteSession(world.key)]).await.unwrap();
    let log = Arc::new(EventLog::new(world.key, world.log.epoch(), world.store.clone(), 3));
    assert!(matches!(log.cursor(0.into()).next().await.unwrap(), Page::End));
}

#[tokio::test]
async fn a_cursor_of_another_life_skips_nothing() {
    let world = world().await;
    world.append(events(1, 3, 10)).await;
    let other = EventCursor { epoch: Some(Epoch::generate()), seq: 2 };
    for foreign in [other, EventCursor { seq: 0, ..other }, 4.into(), world.log.at(4), u64::MAX.into()] {
        let mut cursor = world.log.cursor(foreign);
        let renewed = Missing { from: 1, to: 0, renewed: true };
        assert_eq!(gap(&cursor.next().await.unwrap()), renewed, "{foreign}");
        assert_eq!(inside_page(&cursor.next().await.unwrap()), events(1, 3, 10), "{foreign}");
    }
    for (own, first) in [(2.into(), 3), (world.log.at(0), 1), (world.log.at(2), 3)] {
        let page = world.log.cursor(own).next().await.unwrap();
        assert_eq!(inside_page(&page), events(first, 3, 10), "{own}");
    }
    // Retention has removed the beginning of the current life.
    let database = rusqlite::Connection::open(world.directory.path().join("claude-runner.db")).unwrap();
    database.execute("DELETE FROM events WHERE seq < 3", []).unwrap();
    let log = Arc::new(EventLog::new(world.key, world.log.epoch(), world.store.clone(), 3));
    let mut cursor = log.cursor(other);
    assert_eq!(gap(&cursor.next().await.unwrap()), Missing { from: 1, to: 2, renewed: true });
    assert_eq!(inside_page(&cursor.next().await.unwrap()), events(3, 3, 10));
}

#[tokio::test]
async fn a_page_of_the_store_takes_a_turn_and_one_of_the_tail_none() {
    let world = world().await;
    let bytes = 4096;
    let count = (TAIL_BYTES / bytes * 2) as u64;
    for from in (1..=count).step_by(16) {
        world.append(events(from, (from + 15).min(count), bytes)).await;
    }
    let mut cursor = world.log.cursor(0.into());
    assert!(cursor.next_with(std::future::pending::<()>()).now_or_never().is_none(), "it reads without a turn");
    let (page, turn) = cursor.next_with(std::future::ready("turn")).await.unwrap();
    assert_eq!((inside_page(&page)[0].seq, turn), (1, Some("turn")));
    let mut live = world.log.cursor((count - 1).into());
    let (page, turn) = live.next_with(std::future::pending::<()>()).await.unwrap();
    assert_eq!((inside_page(&page)[0].seq, turn), (count, None));
}
