use proptest::prelude::*;

use super::*;

fn encoded<T>(frames: &[T], encode: impl Fn(&T, &mut BytesMut)) -> Bytes {
    let mut batch = BytesMut::new();
    for frame in frames {
        encode(frame, &mut batch);
    }
    batch.freeze()
}

fn piece() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn seq() -> impl Strategy<Value = u64> {
    1..u64::MAX
}

fn secret() -> impl Strategy<Value = Option<LinkSecret>> {
    prop::option::of(".{0,40}".prop_map(LinkSecret::new))
}

fn up() -> impl Strategy<Value = Up> {
    let frame = prop_oneof![
        (piece(), any::<bool>()).prop_map(|(piece, ends_line)| UpFrame::Stdout { piece, ends_line }),
        piece().prop_map(|bytes| UpFrame::Stderr { bytes }),
        any::<u32>().prop_map(|pid| UpFrame::Started { pid }),
        ".{0,40}".prop_map(|message| UpFrame::StartFailed { message }),
        (any::<Option<i32>>(), any::<Option<i32>>(), any::<u64>())
            .prop_map(|(code, signal, oom_kills)| UpFrame::Exited(Exit { code, signal, oom_kills })),
        (any::<u64>(), any::<u64>())
            .prop_map(|(used_bytes, limit_bytes)| UpFrame::DiskFull { used_bytes, limit_bytes }),
    ];
    prop_oneof![
        (1..=2_u32, secret(), any::<u64>(), any::<bool>()).prop_map(|(version, secret, last_received, running)| {
            Up::Hello(Hello { version, secret, last_received, running })
        }),
        (seq(), frame).prop_map(|(seq, frame)| Up::Output(Numbered { seq, frame })),
        any::<u64>().prop_map(|upto| Up::Ack { upto }),
    ]
}

fn down() -> impl Strategy<Value = Down> {
    let strings = || prop::collection::vec(".{0,20}", 0..5);
    let environment = prop::collection::vec((".{0,20}", ".{0,20}"), 0..5);
    let frame = prop_oneof![
        (".{0,20}", strings(), ".{0,20}", environment).prop_map(|(program, arguments, directory, environment)| {
            DownFrame::Start(Start { program, arguments, directory, environment })
        }),
        (piece(), any::<bool>()).prop_map(|(piece, ends_line)| DownFrame::Stdin { piece, ends_line }),
        Just(DownFrame::CloseStdin),
        (any::<i32>(), prop_oneof![Just(SignalTarget::Program), Just(SignalTarget::Everything)])
            .prop_map(|(signal, target)| DownFrame::Signal { signal, target }),
    ];
    prop_oneof![
        (secret(), any::<u64>(), any::<u64>()).prop_map(|(secret, last_received, orphan_ttl_ms)| Down::Welcome(
            Welcome { secret, last_received, orphan_ttl_ms }
        )),
        ".{0,40}".prop_map(|reason| Down::Refused { reason }),
        (seq(), frame).prop_map(|(seq, frame)| Down::Command(Numbered { seq, frame })),
        any::<u64>().prop_map(|upto| Down::Ack { upto }),
        any::<[u8; 16]>().prop_map(|ticket| Down::Open { ticket: Ticket(ticket) }),
    ]
}

proptest! {
    #[test]
    fn up_comes_back_as_it_was(frames in prop::collection::vec(up(), 0..20)) {
        prop_assert_eq!(Up::decode(encoded(&frames, Up::encode)), Ok(frames));
    }

    #[test]
    fn down_comes_back_as_it_was(frames in prop::collection::vec(down(), 0..20)) {
        prop_assert_eq!(Down::decode(encoded(&frames, Down::encode)), Ok(frames));
    }

    #[test]
    fn a_cut_message_is_an_error(frame in up(), at in any::<prop::sample::Index>()) {
        let message = encoded(std::slice::from_ref(&frame), Up::encode);
        let cut = 1 + at.index(message.len() - 1);
        prop_assert_eq!(Up::decode(message.slice(..cut)), Err(DecodeError::Truncated));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Up::decode(Bytes::from(bytes.clone()));
        let _ = Down::decode(Bytes::from(bytes));
    }

    /// Changes one byte of a valid message, so that most frames decode far enough to reach their fields.
    #[test]
    fn damaged_messages_never_panic(
        frames in prop::collection::vec(down(), 1..5), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut message = encoded(&frames, Down::encode).to_vec();
        let at = at.index(message.len());
        message[at] = byte;
        let _ = Down::decode(Bytes::from(message));
    }
}

#[test]
fn malformed_frames_are_named() {
    let decode = |bytes: &'static [u8]| Up::decode(Bytes::from_static(bytes)).unwrap_err();
    assert_eq!(decode(&[99, 1, 0, 0, 0, 0, 0, 0, 0]), DecodeError::Kind(99));
    assert_eq!(decode(&[STARTED, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), DecodeError::Value { field: "seq", value: 0 });
    assert_eq!(decode(&[HELLO, 9, 0, 0, 0]), DecodeError::Version(9));
    assert_eq!(
        decode(&[STDOUT, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]),
        DecodeError::Value { field: "ends_line", value: 2 }
    );
    assert_eq!(
        decode(&[STDERR, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]),
        DecodeError::TooLong { field: "stderr", length: 0xffff_ffff, limit: MAX_PIECE }
    );
    assert_eq!(decode(&[START_FAILED, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xff]), DecodeError::Text("message"));
}

#[test]
fn the_largest_frames_fit_a_message() {
    let start = Start {
        program: "p".repeat(1024),
        arguments: vec!["a".repeat(1024); 1000],
        directory: "/".into(),
        environment: vec![("N".into(), "v".repeat(MAX_START / 4096 / 4)); MAX_STRINGS],
    };
    assert!(start.bytes() <= MAX_START);
    let command = Down::Command(Numbered { seq: 1, frame: DownFrame::Start(start) });
    let message = encoded(std::slice::from_ref(&command), Down::encode);
    assert!(message.len() + BATCH_BYTES <= MAX_MESSAGE);
    assert_eq!(Down::decode(message), Ok(vec![command]));
}

#[test]
fn debug_keeps_secrets() {
    let start = Start {
        program: "claude".into(),
        arguments: vec!["argument-value".into()],
        directory: "/workspace".into(),
        environment: vec![("TOKEN".into(), "environment-value".into())],
    };
    let stdin = DownFrame::Stdin { piece: Bytes::from_static(b"stdin-value"), ends_line: true };
    let stdout = UpFrame::Stdout { piece: Bytes::from_static(b"stdout-value"), ends_line: true };
    let hello =
        Hello { version: 2, secret: Some(LinkSecret::new("secret-value".into())), last_received: 0, running: false };
    let text = format!("{start:?} {stdin:?} {stdout:?} {hello:?}");
    assert!(!text.contains("value"), "{text}");
    assert!(text.contains("TOKEN") && text.contains("claude"), "{text}");
}
