//! Exactly once and in order over connections that break: numbers, what is kept until acknowledged, what was seen.

use std::collections::VecDeque;

use thiserror::Error;

/// What a frame costs in memory beside its payload, in bytes. Counted so that empty lines fill a window too.
pub const FRAME_COST: usize = 64;

/// What a window holds.
pub trait Payload {
    /// Size in bytes, without [`FRAME_COST`].
    fn bytes(&self) -> usize;
}

/// Numbers what is sent and keeps it until the other end is done with it.
#[derive(Debug)]
pub struct SendWindow<T> {
    held: VecDeque<T>,
    /// Number of the newest frame pushed, 0 for none.
    last: u64,
    bytes: usize,
    limit: usize,
}

#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum WindowError {
    #[error("frame {seq} was never sent, the last was {last}")]
    NeverSent { seq: u64, last: u64 },
    #[error("frame {seq} is asked for again, but everything before {first} was acknowledged")]
    Released { seq: u64, first: u64 },
}

impl<T: Payload> SendWindow<T> {
    /// Empty; the first frame will have number `last` + 1. `limit` is in bytes.
    pub fn after_number(last: u64, limit: usize) -> Self {
        Self { held: VecDeque::new(), last, bytes: 0, limit }
    }

    /// Whether the sender should stop producing. A push is taken even then: a frame that must not wait (an exit, a
    /// signal) may exceed the limit, and the caller's largest frame is the excess otherwise.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What is held, in bytes, with [`FRAME_COST`] for each frame.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a frame and gives it its number.
    pub fn push(&mut self, frame: T) -> u64 {
        self.bytes += frame.bytes() + FRAME_COST;
        self.held.push_back(frame);
        self.last += 1;
        self.last
    }

    /// Forgets every frame up to and including `upto`. An old number is no error: acknowledgements may repeat.
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

    /// The frames that an end whose last one was `received` has not got yet, oldest first.
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

    /// Number of the oldest frame held; one more than the last where none is.
    pub fn first(&self) -> u64 {
        self.last + 1 - self.held.len() as u64
    }
}

/// Sees to it that each number is delivered once.
#[derive(Debug)]
pub struct ReceiveWindow {
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// The next one.
    Deliver,
    /// Seen before; drop it.
    Duplicate,
    /// Something before it is missing: the other end does not follow the protocol or has lost its memory.
    Gap { expected: u64 },
}

impl ReceiveWindow {
    /// Continues after `last`, the number of the last frame received, 0 for none.
    pub fn after_number(last: u64) -> Self {
        Self { last }
    }

    /// Number of the last frame delivered, 0 for none.
    pub fn last(&self) -> u64 {
        self.last
    }

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
