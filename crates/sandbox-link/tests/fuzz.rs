//! Fuzzes the codec with valid messages, damaged messages and noise for FUZZ_SECONDS (default 1). Decoding does not
//! panic and creates nothing larger than the message; decoded frames encode to bytes with the same meaning.
//! `scripts/fuzz` runs it for longer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use sandbox_link::codec::{DecodeError, MAX_MESSAGE, MAX_STRINGS, MAX_TEXT};
use sandbox_link::files::{
    Action, Bounds, Entry, EntryKind, Failure, FailureKind, FileFrame, FileRequest, MAX_DATA, MAX_PATH, Page, Summary,
    Ticket,
};
use sandbox_link::frame::{
    Down, DownFrame, Exit, Hello, LinkSecret, MAX_PIECE, Numbered, SignalTarget, Start, Up, UpFrame, Welcome,
};
use sandbox_link::window::Payload;

/// Number of cases between two checks of the clock.
const CASES: u32 = 256;

/// Lengths around the protocol's limits, and kinds of frames.
const TELLING: [u32; 14] = [0, 1, 2, 3, 16, 17, 18, 19, 20, 4096, 4097, 256 * 1024, 256 * 1024 + 1, u32::MAX];

#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Number(Index, u32),
    Insert(Index, Vec<u8>),
    Cut(Index),
    Remove(Index, usize),
}

#[test]
fn what_comes_up_is_decoded_or_refused() {
    let runs = fuzz(&message(up(), Up::encode, 0..6), |message| check(message, Up::decode, Up::encode, size_of_up));
    println!("{runs} inputs");
}

#[test]
fn what_goes_down_is_decoded_or_refused() {
    let runs =
        fuzz(&message(down(), Down::encode, 0..6), |message| check(message, Down::decode, Down::encode, size_of_down));
    println!("{runs} inputs");
}

/// A file's frame is alone in its buffer, behind its length.
#[test]
fn what_files_carry_is_decoded_or_refused() {
    let runs = fuzz(&message(file_frame(), put_body, 1..2), |message| {
        let Ok(frame) = FileFrame::decode(message.clone()) else { return Ok(()) };
        prop_assert!(size_of_file_frame(&frame) <= message.len());
        let again = encoded(std::slice::from_ref(&frame), put_body);
        prop_assert_eq!(again.len(), message.len(), "a frame has one form");
        prop_assert_eq!(FileFrame::decode(again), Ok(frame));
        Ok(())
    });
    println!("{runs} inputs");
}

/// Encodes the frame without its length.
fn put_body(frame: &FileFrame, batch: &mut BytesMut) {
    let mut whole = BytesMut::new();
    frame.encode(&mut whole);
    assert_eq!(whole[..4], u32::try_from(whole.len() - 4).unwrap().to_le_bytes());
    batch.extend_from_slice(&whole[4..]);
}

fn size_of_file_frame(frame: &FileFrame) -> usize {
    let entry = |entry: &Entry| entry.name.len() + entry.target.as_ref().map_or(0, Bytes::len);
    match frame {
        FileFrame::Request(request) => request.root.len() + request.path.len(),
        FileFrame::Data(data) => data.len(),
        FileFrame::Found(found) => entry(found),
        FileFrame::Page(page) => page.entries.iter().map(entry).sum(),
        FileFrame::Done(_) => 0,
        FileFrame::Failed(failure) => failure.message.len(),
    }
}

fn file_frame() -> impl Strategy<Value = FileFrame> {
    let small = || prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => Just(vec![b'x'; 255])].prop_map(Bytes::from);
    let kinds = vec![
        EntryKind::File,
        EntryKind::Directory,
        EntryKind::Symlink,
        EntryKind::Fifo,
        EntryKind::Socket,
        EntryKind::Device,
    ];
    let target = prop::option::of(prop_oneof![9 => small(), 1 => Just(Bytes::from(vec![b'/'; MAX_PATH]))]);
    let entry = (small(), select(kinds), any::<u64>(), any::<i64>(), any::<u32>(), target)
        .prop_map(|(name, kind, size, modified, mode, target)| Entry { name, kind, size, modified, mode, target });
    let action = prop_oneof![
        (prop::option::of(small()), any::<u32>()).prop_map(|(after, limit)| Action::List { after, limit }),
        (any::<u64>(), any::<u64>()).prop_map(|(offset, length)| Action::Read { offset, length }),
        Just(Action::Pack),
        Just(Action::Unpack),
        any::<u32>().prop_map(|mode| Action::Write { mode }),
        Just(Action::Remove),
        Just(Action::Measure),
    ];
    let bounds = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>())
        .prop_map(|(bytes, entries, depth, time_ms)| Bounds { bytes, entries, depth, time_ms });
    let request = (".{0,20}", small(), bounds, action).prop_map(|(root, path, bounds, action)| FileRequest {
        root,
        path,
        bounds,
        action,
    });
    let failures = vec![FailureKind::NotFound, FailureKind::Symlink, FailureKind::TooSlow, FailureKind::Other];
    prop_oneof![
        2 => request.prop_map(FileFrame::Request),
        1 => piece().prop_map(|data| FileFrame::Data(data.slice(..data.len().min(MAX_DATA)))),
        1 => entry.clone().prop_map(FileFrame::Found),
        3 => (vec(entry, 0..6), any::<bool>(), any::<bool>())
            .prop_map(|(entries, more, truncated)| FileFrame::Page(Page { entries, more, truncated })),
        1 => (any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(bytes, entries, skipped)| FileFrame::Done(Summary { bytes, entries, skipped })),
        1 => (select(failures), text()).prop_map(|(kind, message)| FileFrame::Failed(Failure { kind, message })),
    ]
}

/// Returns the number of inputs that were tried.
fn fuzz<S: Strategy>(inputs: &S, check: impl Fn(&S::Value) -> Result<(), TestCaseError>) -> u32 {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        // Each run needs a new runner, because a runner counts its successes over all runs.
        if let Err(failure) = TestRunner::new(config.clone()).run(inputs, |input| check(&input)) {
            panic!("{failure}");
        }
        runs += CASES;
    }
    runs
}

fn check<T: PartialEq + std::fmt::Debug>(
    message: &Bytes,
    decode: fn(Bytes) -> Result<Vec<T>, DecodeError>,
    encode: fn(&T, &mut BytesMut),
    size: fn(&T) -> usize,
) -> Result<(), TestCaseError> {
    let Ok(frames) = decode(message.clone()) else { return Ok(()) };
    let made: usize = frames.iter().map(size).sum();
    prop_assert!(made <= message.len(), "{} bytes were made of {}", made, message.len());
    let again = encoded(&frames, encode);
    prop_assert!(again.len() <= MAX_MESSAGE.max(message.len()));
    prop_assert_eq!(again.len(), message.len(), "a frame has one form");
    prop_assert_eq!(decode(again), Ok(frames));
    Ok(())
}

fn encoded<T>(frames: &[T], encode: impl Fn(&T, &mut BytesMut)) -> Bytes {
    let mut batch = BytesMut::new();
    for frame in frames {
        encode(frame, &mut batch);
    }
    batch.freeze()
}

/// The payload of a frame, in bytes.
fn size_of_up(frame: &Up) -> usize {
    match frame {
        Up::Hello(hello) => secret_bytes(hello.secret.as_ref()),
        Up::Output(Numbered { frame, .. }) => frame.bytes(),
        Up::Ack { .. } => 0,
    }
}

fn size_of_down(frame: &Down) -> usize {
    match frame {
        Down::Welcome(welcome) => secret_bytes(welcome.secret.as_ref()),
        Down::Refused { reason } => reason.len(),
        Down::Command(Numbered { frame, .. }) => frame.bytes(),
        Down::Ack { .. } => 0,
        Down::Open { ticket } => ticket.0.len(),
    }
}

fn secret_bytes(secret: Option<&LinkSecret>) -> usize {
    secret.map_or(0, |secret| secret.expose().len())
}

fn message<T: std::fmt::Debug + 'static>(
    frame: impl Strategy<Value = T>,
    encode: fn(&T, &mut BytesMut),
    frames: std::ops::Range<usize>,
) -> impl Strategy<Value = Bytes> {
    let valid = vec(frame, frames).prop_map(move |frames| encoded(&frames, encode).to_vec());
    let noise = vec(any::<u8>(), 0..200);
    let damaged = (valid, vec(damage(), 0..5)).prop_map(|(mut message, damages)| {
        for damage in damages {
            damage.apply(&mut message);
        }
        message
    });
    prop_oneof![9 => damaged, 1 => noise].prop_map(Bytes::from)
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (at(), select(&TELLING[..])).prop_map(|(at, number)| Damage::Number(at, number)),
        (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        at().prop_map(Damage::Cut),
        (at(), 1..20_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
    ]
}

impl Damage {
    fn apply(&self, message: &mut Vec<u8>) {
        let length = message.len();
        let place = |index: &Index| index.index(length + 1);
        match self {
            Damage::Replace(at, new) => message.iter_mut().skip(place(at)).take(1).for_each(|byte| *byte = *new),
            Damage::Number(at, number) => {
                let bytes = number.to_le_bytes();
                message.iter_mut().skip(place(at)).zip(bytes).for_each(|(byte, new)| *byte = new);
            }
            Damage::Insert(at, bytes) => {
                let at = place(at);
                message.splice(at..at, bytes.iter().copied());
            }
            Damage::Cut(at) => message.truncate(place(at)),
            Damage::Remove(at, count) => {
                message.drain(place(at)..length.min(place(at) + count));
            }
        }
    }
}

fn up() -> impl Strategy<Value = Up> {
    let exit = (any::<Option<i32>>(), any::<Option<i32>>(), any::<u64>());
    let frame = prop_oneof![
        (piece(), any::<bool>()).prop_map(|(piece, ends_line)| UpFrame::Stdout { piece, ends_line }),
        piece().prop_map(|bytes| UpFrame::Stderr { bytes }),
        any::<u32>().prop_map(|pid| UpFrame::Started { pid }),
        text().prop_map(|message| UpFrame::StartFailed { message }),
        exit.prop_map(|(code, signal, oom_kills)| UpFrame::Exited(Exit { code, signal, oom_kills })),
        (any::<u64>(), any::<u64>())
            .prop_map(|(used_bytes, limit_bytes)| UpFrame::DiskFull { used_bytes, limit_bytes }),
    ];
    prop_oneof![
        1 => (1..=2_u32, secret(), any::<u64>(), any::<bool>()).prop_map(|(version, secret, last_received, running)| {
            Up::Hello(Hello { version, secret, last_received, running })
        }),
        4 => (1..u64::MAX, frame).prop_map(|(seq, frame)| Up::Output(Numbered { seq, frame })),
        1 => any::<u64>().prop_map(|upto| Up::Ack { upto }),
    ]
}

fn down() -> impl Strategy<Value = Down> {
    let strings = prop_oneof![9 => vec(".{0,20}", 0..6), 1 => Just(vec![String::new(); MAX_STRINGS])];
    let start = (".{0,20}", strings, ".{0,20}", vec((".{0,20}", ".{0,20}"), 0..6));
    let frame = prop_oneof![
        start.prop_map(|(program, arguments, directory, environment)| {
            DownFrame::Start(Start { program, arguments, directory, environment })
        }),
        (piece(), any::<bool>()).prop_map(|(piece, ends_line)| DownFrame::Stdin { piece, ends_line }),
        Just(DownFrame::CloseStdin),
        (any::<i32>(), select(vec![SignalTarget::Program, SignalTarget::Everything]))
            .prop_map(|(signal, target)| DownFrame::Signal { signal, target }),
    ];
    prop_oneof![
        1 => (secret(), any::<u64>(), any::<u64>()).prop_map(|(secret, last_received, orphan_ttl_ms)| {
            Down::Welcome(Welcome { secret, last_received, orphan_ttl_ms })
        }),
        1 => text().prop_map(|reason| Down::Refused { reason }),
        4 => (1..u64::MAX, frame).prop_map(|(seq, frame)| Down::Command(Numbered { seq, frame })),
        1 => any::<u64>().prop_map(|upto| Down::Ack { upto }),
        1 => any::<[u8; 16]>().prop_map(|ticket| Down::Open { ticket: Ticket(ticket) }),
    ]
}

fn piece() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        9 => vec(any::<u8>(), 0..200).prop_map(Bytes::from),
        1 => Just(Bytes::from(vec![b'x'; MAX_PIECE])),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![9 => ".{0,40}".boxed(), 1 => Just("x".repeat(MAX_TEXT)).boxed()]
}

fn secret() -> impl Strategy<Value = Option<LinkSecret>> {
    prop::option::of(text().prop_map(LinkSecret::new))
}
