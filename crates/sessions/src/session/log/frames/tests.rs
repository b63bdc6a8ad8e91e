use bytes::Bytes;
use domain::event::StoredEvent;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

use super::Frames;

fn events(first: u64, sizes: &[usize]) -> Vec<StoredEvent> {
    let event =
        |(seq, size): (u64, &usize)| StoredEvent { seq, json: Bytes::from(vec![b'a' + (seq % 26) as u8; *size]) };
    (first..).zip(sizes).map(event).collect()
}

/// Reads the frames with an independent WebSocket client.
fn read(frames: &Frames) -> Vec<String> {
    let sent = std::io::Cursor::new(frames.bytes().to_vec());
    let mut client = WebSocket::from_raw_socket(sent, Role::Client, None);
    let message = |_| match client.read().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    (frames.first()..=frames.last()).map(message).collect()
}

fn texts(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8(event.json.to_vec()).unwrap()).collect()
}

#[test]
fn a_client_reads_what_was_encoded_whatever_its_length() {
    let events = events(7, &[1, 125, 126, 127, 65_535, 65_536, 0, 70_000]);
    let frames = Frames::encode(&events).unwrap();
    assert_eq!((frames.first(), frames.last()), (7, 14));
    assert_eq!(read(&frames), texts(&events));
    let inside: Vec<StoredEvent> = frames.events().map(|(seq, json)| StoredEvent { seq, json }).collect();
    assert_eq!(inside, events);
}

#[test]
fn nothing_is_no_frames() {
    assert!(Frames::encode(&[]).is_none());
}

proptest! {
    #[test]
    fn any_part_of_any_two_is_whole(
        sizes in prop::collection::vec(0_usize..300, 2..20),
        split in any::<prop::sample::Index>(),
        since in 0_u64..30,
    ) {
        let all = events(5, &sizes);
        let (head, tail) = all.split_at(1 + split.index(all.len() - 1));
        let both = Frames::encode(head).unwrap().followed_by(&Frames::encode(tail).unwrap());
        prop_assert_eq!(read(&both), texts(&all));
        match both.after(since) {
            Some(part) => {
                prop_assert!(since + 1 >= 5);
                prop_assert_eq!(part.first(), since + 1);
                prop_assert_eq!(read(&part), texts(&all[usize::try_from(since + 1 - 5).unwrap()..]));
            }
            None => prop_assert!(since + 1 < 5 || since >= both.last()),
        }
    }

    #[test]
    fn a_frame_that_was_begun_is_ended(sizes in prop::collection::vec(0_usize..300, 1..20), sent in any::<prop::sample::Index>()) {
        let whole = Frames::encode(&events(1, &sizes)).unwrap().after(0).unwrap();
        let sent = sent.index(whole.bytes().len() + 1);
        let (end, frames) = whole.end_of_frame(sent);
        prop_assert!(end >= sent);
        let expected: Vec<_> = sizes.iter().scan(0, |at, size| { *at += size + if *size > 125 { 4 } else { 2 }; Some(*at) }).collect();
        prop_assert_eq!(end, if frames == 0 { 0 } else { expected[usize::try_from(frames).unwrap() - 1] });
        prop_assert!(frames == 0 || expected[..usize::try_from(frames).unwrap() - 1].iter().all(|end| *end < sent));
    }
}
