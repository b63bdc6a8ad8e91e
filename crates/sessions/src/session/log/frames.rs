//! Consecutive events, encoded once as WebSocket messages and shared by all subscribers.
//!
//! A server's messages are not masked (RFC 6455 §5.1), so their bytes are the same for every subscriber. Each subscriber costs one
//! system call and no encoding.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use domain::event::StoredEvent;

/// FIN and the opcode of text (RFC 6455 §5.2): each event is one message of one frame.
const TEXT: u8 = 0x81;

/// Payloads up to this length have it in the second byte; up to 65,535 in two more bytes, beyond that in eight more.
const SHORT: usize = 125;
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// At least one event. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Frames {
    bytes: Bytes,
    /// The offset of each frame, and the end of the last one.
    bounds: Arc<[usize]>,
    /// The number of the event in the first frame of `bytes`.
    first: u64,
    /// The range of frames that this value contains.
    range: Range<usize>,
}

impl Frames {
    /// `None` without events. The events are consecutive.
    pub(super) fn encode(events: &[StoredEvent]) -> Option<Self> {
        let first = events.first()?.seq;
        let payload: usize = events.iter().map(|event| event.json.len()).sum();
        let mut bytes = Vec::with_capacity(payload + 4 * events.len());
        let mut bounds = Vec::with_capacity(events.len() + 1);
        bounds.push(0);
        for event in events {
            push_frame(&mut bytes, &event.json);
            bounds.push(bytes.len());
        }
        Some(Frames { bytes: bytes.into(), bounds: bounds.into(), first, range: 0..events.len() })
    }

    /// Returns this value and the next events together.
    pub(super) fn followed_by(&self, next: &Self) -> Self {
        debug_assert_eq!(self.last() + 1, next.first(), "events without a hole");
        let bytes = [self.bytes(), next.bytes()].concat();
        let moved = |frames: &Self, by: usize| {
            let begin = frames.bounds[frames.range.start];
            frames.bounds[frames.range.start..=frames.range.end]
                .iter()
                .map(move |at| at - begin + by)
                .collect::<Vec<_>>()
        };
        let mut bounds = moved(self, 0);
        let end = bounds.pop().unwrap_or_default();
        bounds.extend(moved(next, end));
        let range = 0..self.range.len() + next.range.len();
        Frames { bytes: bytes.into(), bounds: bounds.into(), first: self.first(), range }
    }

    /// The events after `since`. `None`: there are none, or the first of them is not here.
    pub(super) fn after(&self, since: u64) -> Option<Self> {
        let skip = usize::try_from((since + 1).checked_sub(self.first())?).ok()?;
        let range = self.range.start + skip..self.range.end;
        (!range.is_empty()).then(|| Frames { range, ..self.clone() })
    }

    /// The number of the first event.
    pub fn first(&self) -> u64 {
        self.first + self.range.start as u64
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.first + self.range.end as u64 - 1
    }

    /// The bytes of all frames.
    pub fn bytes(&self) -> Bytes {
        self.bytes.slice(self.bounds[self.range.start]..self.bounds[self.range.end])
    }

    /// The number and the JSON of each event.
    pub fn events(&self) -> impl Iterator<Item = (u64, Bytes)> {
        self.range.clone().map(|index| {
            let frame = self.bounds[index]..self.bounds[index + 1];
            let payload = frame.start + head_bytes(self.bytes[frame.start + 1]);
            (self.first + index as u64, self.bytes.slice(payload..frame.end))
        })
    }

    /// The position after `sent` of `bytes()` were sent: the end of the frame that it falls into, and the number of
    /// whole frames.
    pub fn end_of_frame(&self, sent: usize) -> (usize, u64) {
        let begin = self.bounds[self.range.start];
        let bounds = &self.bounds[self.range.start..=self.range.end];
        let frames = bounds.partition_point(|end| end - begin < sent).min(self.range.len());
        (bounds[frames] - begin, frames as u64)
    }
}

fn push_frame(bytes: &mut Vec<u8>, payload: &[u8]) {
    bytes.push(TEXT);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if payload.len() <= SHORT => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(IN_TWO);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(IN_EIGHT);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
}

/// The header of a frame, by its second byte.
fn head_bytes(length: u8) -> usize {
    match length {
        IN_TWO => 4,
        IN_EIGHT => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests;
