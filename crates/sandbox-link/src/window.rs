//! Exactly-once, in-order delivery over connections that break: sequence numbers, frames kept until acknowledged, and
//! detection of duplicates.

use std::collections::VecDeque;

use thiserror::Error;

/// The memory cost of a frame beside its payload, in bytes. It is counted so that empty lines fill a window too.
pub const FRAME_COST: usize = 64;

/// The content of a window.
pub trait Payload {
    /// The size in bytes, without [`FRAME_COST`].
    fn bytes(&self) -> usize;
}

/// Numbers outgoing frames and keeps each until the other end acknowledges it.
#[derive(Debug)]
pub struct SendWindow<T> {
    held: VecDeque<T>,
    /// Sequence number of the newest frame; 0 if there is none.
    last: u64,
    bytes: usize,
    limit: usize,
}

#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum WindowError {
    #[error("frame {seq} was never sent; the last frame was {last}")]
    NeverSent { seq: u64, last: u64 },
    #[error("frame {seq} is requested again, but every frame before {first} was acknowledged")]
    Released { seq: u64, first: u64 },
}

impl<T: Payload> SendWindow<T> {
    /// An empty window. Its first frame gets the number `last` + 1. `limit` is in bytes.
    pub fn after_number(last: u64, limit: usize) -> Self {
        Self { held: VecDeque::new(), last, bytes: 0, limit }
    }

    /// True if the sender should stop producing. `push` succeeds even then: a frame that must not wait (an exit, a
    /// signal) may exceed the limit. Otherwise the excess is at most the caller's largest frame.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The size of the held frames in bytes, including [`FRAME_COST`] for each.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a frame and returns its sequence number.
    pub fn push(&mut self, frame: T) -> u64 {
        self.bytes += frame.bytes() + FRAME_COST;
        self.held.push_back(frame);
        self.last += 1;
        self.last
    }

    /// Releases every frame up to and including `upto`. An old number is not an error, because acknowledgements may
    /// repeat.
    pub fn acknowledge(&mut self, upto: u64) -> Result<(), WindowError> {
        if upto > self.last {
            return Err(WindowError::NeverSent { seq: upto, last: self.last });
        }
        while self.first() <= upto {
            let Some(frame) = self.held.pop_front() else { break };
            self.bytes -= frame.bytes() + FRAME_COST;
        }
        Ok(())
    }

    /// The frames after `received`, oldest first. `received` is the last number that the other end has.
    pub fn frames_after(&self, received: u64) -> Result<impl Iterator<Item = (u64, &T)>, WindowError> {
        if received > self.last {
            return Err(WindowError::NeverSent { seq: received, last: self.last });
        }
        let first = self.first();
        if received + 1 < first {
            return Err(WindowError::Released { seq: received + 1, first });
        }
        // The difference is at most held.len(), which is a usize.
        let skip = usize::try_from(received + 1 - first).unwrap_or(usize::MAX);
        Ok((received + 1..).zip(self.held.iter().skip(skip)))
    }

    /// Sequence number of the oldest held frame. If none is held: one more than the last number.
    pub fn first(&self) -> u64 {
        self.last + 1 - self.held.len() as u64
    }
}

/// Delivers each sequence number exactly once.
#[derive(Debug)]
pub struct ReceiveWindow {
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// The frame is the next one; deliver it.
    Deliver,
    /// The frame was already delivered; drop it.
    Duplicate,
    /// An earlier frame is missing: the other end violates the protocol or has lost its state.
    Gap { expected: u64 },
}

impl ReceiveWindow {
    /// Continues after `last`, the sequence number of the last received frame; 0 if there is none.
    pub fn after_number(last: u64) -> Self {
        Self { last }
    }

    /// Sequence number of the last delivered frame; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Decides what to do with a frame of this number.
    pub fn accept(&mut self, seq: u64) -> Acceptance {
        if seq <= self.last {
            Acceptance::Duplicate
        } else if seq == self.last + 1 {
            self.last = seq;
            Acceptance::Deliver
        } else {
            Acceptance::Gap { expected: self.last + 1 }
        }
    }
}

#[cfg(test)]
mod tests;
