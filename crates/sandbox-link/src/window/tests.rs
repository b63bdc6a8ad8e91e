use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 10 * FRAME_COST;
const LARGEST: usize = 200;

#[derive(Debug, Clone, PartialEq)]
struct Blob(u64, usize);

impl Payload for Blob {
    fn bytes(&self) -> usize {
        self.1
    }
}

#[derive(Debug, Clone)]
enum Step {
    Produce(usize),
    Send,
    Receive,
    Acknowledge,
    ReceiveAcknowledgement,
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..LARGEST).prop_map(Step::Produce),
        4 => Just(Step::Send),
        4 => Just(Step::Receive),
        2 => Just(Step::Acknowledge),
        2 => Just(Step::ReceiveAcknowledgement),
        1 => Just(Step::Cut),
    ]
}

/// Both ends and the wire between them, in the same way as the two programs use the windows.
struct Link {
    window: SendWindow<Blob>,
    produced: u64,
    /// Sequence number of the last frame written to this connection.
    sent: u64,
    wire: VecDeque<(u64, Blob)>,
    acknowledgements: VecDeque<u64>,
    receive: ReceiveWindow,
    delivered: Vec<Blob>,
}

impl Link {
    fn new() -> Self {
        Self {
            window: SendWindow::after_number(0, LIMIT),
            produced: 0,
            sent: 0,
            wire: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            receive: ReceiveWindow::after_number(0),
            delivered: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Produce(size) => {
                if !self.window.is_full() {
                    self.produced += 1;
                    assert_eq!(self.window.push(Blob(self.produced, *size)), self.produced);
                }
            }
            Step::Send => {
                let next = self.window.frames_after(self.sent).unwrap().next().map(|(seq, blob)| (seq, blob.clone()));
                if let Some((seq, blob)) = next {
                    self.sent = seq;
                    self.wire.push_back((seq, blob));
                }
            }
            Step::Receive => {
                if let Some((seq, blob)) = self.wire.pop_front() {
                    match self.receive.accept(seq) {
                        Acceptance::Deliver => self.delivered.push(blob),
                        Acceptance::Duplicate => {}
                        Acceptance::Gap { expected } => panic!("gap at {expected}, got {seq}"),
                    }
                }
            }
            Step::Acknowledge => self.acknowledgements.push_back(self.receive.last()),
            Step::ReceiveAcknowledgement => {
                if let Some(upto) = self.acknowledgements.pop_front() {
                    self.window.acknowledge(upto).unwrap();
                }
            }
            Step::Cut => {
                self.wire.clear();
                self.acknowledgements.clear();
                self.sent = self.receive.last();
            }
        }
        assert!(self.window.bytes() <= LIMIT + LARGEST + FRAME_COST);
    }
}

proptest! {
    #[test]
    fn every_frame_arrives_once_and_in_order(steps in prop::collection::vec(step(), 0..400)) {
        let mut link = Link::new();
        for step in &steps {
            link.take(step);
        }
        // When no connection breaks any more, every frame arrives and every frame is released.
        for step in [Step::Cut, Step::Send, Step::Receive].iter().chain([Step::Send, Step::Receive].iter().cycle()) {
            if link.receive.last() == link.produced {
                break;
            }
            link.take(step);
        }
        link.take(&Step::Cut);
        link.take(&Step::Acknowledge);
        link.take(&Step::ReceiveAcknowledgement);
        let numbers: Vec<u64> = link.delivered.iter().map(|blob| blob.0).collect();
        prop_assert_eq!(numbers, (1..=link.produced).collect::<Vec<_>>());
        prop_assert!(link.window.is_empty());
        prop_assert_eq!(link.window.bytes(), 0);
    }
}

#[test]
fn full_until_acknowledged() {
    let mut window = SendWindow::after_number(0, 100);
    assert_eq!(window.push(Blob(1, 50)), 1);
    assert!(window.is_full());
    window.acknowledge(1).unwrap();
    assert!(!window.is_full());
}

#[test]
fn numbering_continues_and_old_acknowledgements_repeat() {
    let mut window = SendWindow::after_number(7, 100);
    window.acknowledge(3).unwrap();
    assert_eq!(window.push(Blob(8, 0)), 8);
    assert_eq!(window.frames_after(7).unwrap().collect::<Vec<_>>(), [(8, &Blob(8, 0))]);
    window.acknowledge(8).unwrap();
    window.acknowledge(8).unwrap();
    assert_eq!(window.frames_after(8).unwrap().count(), 0);
}

#[test]
fn numbers_outside_the_window_are_errors() {
    let mut window = SendWindow::after_number(0, 100);
    window.push(Blob(1, 0));
    window.push(Blob(2, 0));
    window.acknowledge(1).unwrap();
    assert_eq!(window.acknowledge(3), Err(WindowError::NeverSent { seq: 3, last: 2 }));
    assert_eq!(window.frames_after(3).err(), Some(WindowError::NeverSent { seq: 3, last: 2 }));
    assert_eq!(window.frames_after(0).err(), Some(WindowError::Released { seq: 1, first: 2 }));
}

#[test]
fn a_gap_is_told() {
    let mut receive = ReceiveWindow::after_number(4);
    assert_eq!(receive.accept(6), Acceptance::Gap { expected: 5 });
    assert_eq!(receive.accept(4), Acceptance::Duplicate);
    assert_eq!(receive.accept(5), Acceptance::Deliver);
    assert_eq!(receive.last(), 5);
}
