use bytes::Bytes;
use domain::session::SessionId;
use futures::FutureExt as _;

use super::{BATCH, Changed, Feed, MAX_WATCHERS, NOTICE_BYTES, News, NoticeKind, RING_BYTES, Watcher};

fn id(text: &str) -> SessionId {
    text.parse().unwrap()
}

/// Renders text of the length in the session's id, so that a test can fill the ring.
fn render(changed: &Changed<'_>) -> Bytes {
    let Changed::SessionDeleted(id) = changed else { panic!("{changed:?}") };
    let length = id.as_str().split('-').nth(1).map_or(2, |length| length.parse().unwrap());
    vec![b'x'; length].into()
}

fn publish(feed: &Feed, name: &str) {
    feed.publish(&Changed::SessionDeleted(&id(name)));
}

/// Returns the ids of the next notices, or `None` if some were missed. Fails if there are none.
fn next(watcher: &mut Watcher) -> Option<Vec<String>> {
    match watcher.next().now_or_never().expect("there is no news") {
        News::Missed => None,
        News::Notices(notices) => {
            assert!(notices.iter().all(|notice| notice.kind == NoticeKind::SessionDeleted));
            Some(notices.iter().map(|notice| notice.session.as_str().to_owned()).collect())
        }
    }
}

#[tokio::test]
async fn every_watcher_gets_what_comes_after_it_once_and_in_order() {
    let feed = Feed::default();
    publish(&feed, "before");
    let mut early = feed.watch(render).unwrap();
    publish(&feed, "a");
    let mut late = feed.watch(render).unwrap();
    publish(&feed, "b");
    assert_eq!(next(&mut early).unwrap(), ["a", "b"]);
    assert_eq!(next(&mut late).unwrap(), ["b"]);
    assert!(early.next().now_or_never().is_none());

    let waiting = tokio::task::unconstrained(late.next());
    let (news, ()) = futures::join!(waiting, async { publish(&feed, "c") });
    assert!(matches!(news, News::Notices(notices) if notices.len() == 1));
    assert_eq!(next(&mut early).unwrap(), ["c"]);
}

#[test]
fn a_slow_watcher_is_told_to_list_again_and_holds_bounded_memory() {
    let feed = Feed::default();
    let mut slow = feed.watch(render).unwrap();
    let mut quick = feed.watch(render).unwrap();
    let half = format!("big-{}", RING_BYTES / 2 - NOTICE_BYTES);
    for _ in 0..3 {
        publish(&feed, &half);
        assert_eq!(next(&mut quick).unwrap(), std::slice::from_ref(&half));
        assert!(feed.shared.ring().bytes <= RING_BYTES);
    }
    assert_eq!(next(&mut slow), None);
    assert!(slow.next().now_or_never().is_none(), "it continues at the end");
    publish(&feed, "after");
    assert_eq!(next(&mut slow).unwrap(), ["after"]);

    // One notice exceeds the size of the whole ring.
    assert_eq!(next(&mut quick).unwrap(), ["after"]);
    publish(&feed, &format!("huge-{}", RING_BYTES + 1));
    assert_eq!((next(&mut quick), feed.shared.ring().bytes), (None, 0));

    for number in 0..=BATCH {
        publish(&feed, &format!("n{number}"));
    }
    assert_eq!((next(&mut quick).unwrap().len(), next(&mut quick).unwrap().len()), (BATCH, 1));
}

#[test]
fn nobody_watches_nothing_is_kept_and_places_are_bounded() {
    let feed = Feed::default();
    let watchers: Vec<Watcher> = (0..MAX_WATCHERS).map(|_| feed.watch(render).unwrap()).collect();
    assert!(feed.watch(render).is_none());
    publish(&feed, "a");
    assert_eq!(feed.shared.ring().notices.len(), 1);
    drop(watchers);
    assert_eq!(feed.shared.ring().notices.len(), 0);
    // Without watchers the change is not rendered: `render` would panic.
    feed.publish(&Changed::Session(&record(), crate::session::Status::default(), 0));
    let mut next_one = feed.watch(render).unwrap();
    publish(&feed, "b");
    assert_eq!(next(&mut next_one).unwrap(), ["b"]);
}

#[test]
fn after_a_change_that_could_not_be_published_watchers_list_again() {
    let feed = Feed::default();
    let mut watcher = feed.watch(render).unwrap();
    publish(&feed, "a");
    assert_eq!(next(&mut watcher), Some(vec!["a".to_owned()]));
    feed.skip();
    assert_eq!(next(&mut watcher), None);
    publish(&feed, "b");
    assert_eq!(next(&mut watcher), Some(vec!["b".to_owned()]));
}

fn record() -> domain::session::SessionRecord {
    domain::session::SessionRecord {
        epoch: domain::session::Epoch::from_number(1),
        key: domain::session::SessionKey::generate(),
        id: id("s"),
        created: jiff::Timestamp::UNIX_EPOCH,
        last_active: jiff::Timestamp::UNIX_EPOCH,
        turns: 0,
        claude_session_id: None,
        env: [].into(),
        last_seq: 0,
        sandbox: None,
        agent: domain::agent::AgentName::default(),
        repository: None,
    }
}
