use bytes::{Buf, Bytes};

use super::{DecodeError, MAX_STRINGS, MAX_TEXT};

/// Reads fields from the front of a message. It never panics and never allocates more than the message's size.
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(message: Bytes) -> Self {
        Self { rest: message }
    }

    /// Reads all frames of the message.
    pub(super) fn all<T>(
        mut self,
        read: impl Fn(u8, &mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut frames = Vec::new();
        while self.rest.has_remaining() {
            let kind = self.u8()?;
            frames.push(read(kind, &mut self)?);
        }
        Ok(frames)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        self.rest.try_copy_to_slice(&mut array).map_err(|_| DecodeError::Truncated)?;
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.rest.try_get_u32_le().map_err(|_| DecodeError::Truncated)
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.rest.try_get_i32_le().map_err(|_| DecodeError::Truncated)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.rest.try_get_u64_le().map_err(|_| DecodeError::Truncated)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.rest.try_get_i64_le().map_err(|_| DecodeError::Truncated)
    }

    /// Reads a sequence number. Numbers start at 1, and the largest has no successor, so both ends of the range are
    /// invalid.
    pub(super) fn seq(&mut self) -> Result<u64, DecodeError> {
        match self.u64()? {
            value @ (0 | u64::MAX) => Err(DecodeError::Value { field: "seq", value }),
            seq => Ok(seq),
        }
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Value { field, value: value.into() }),
        }
    }

    pub(super) fn bytes(&mut self, field: &'static str, limit: usize) -> Result<Bytes, DecodeError> {
        let length = self.length(field, limit)?;
        if length > self.rest.remaining() {
            return Err(DecodeError::Truncated);
        }
        Ok(self.rest.split_to(length))
    }

    pub(super) fn text(&mut self, field: &'static str, limit: usize) -> Result<String, DecodeError> {
        String::from_utf8(self.bytes(field, limit)?.into()).map_err(|_| DecodeError::Text(field))
    }

    pub(super) fn optional_text(&mut self, field: &'static str) -> Result<Option<String>, DecodeError> {
        if self.flag(field)? { self.text(field, MAX_TEXT).map(Some) } else { Ok(None) }
    }

    pub(super) fn optional_i32(&mut self, field: &'static str) -> Result<Option<i32>, DecodeError> {
        if self.flag(field)? { self.i32().map(Some) } else { Ok(None) }
    }

    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.list_of(field, MAX_STRINGS, &mut item)
    }

    pub(super) fn list_of<T>(
        &mut self,
        field: &'static str,
        limit: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let length = self.length(field, limit)?;
        (0..length).map(|_| item(self)).collect()
    }

    /// Takes everything that is left.
    pub(super) fn rest(&mut self, field: &'static str, limit: usize) -> Result<Bytes, DecodeError> {
        let length = self.rest.remaining();
        if length > limit { Err(DecodeError::TooLong { field, length, limit }) } else { Ok(self.rest.split_to(length)) }
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.remaining() {
            0 => Ok(()),
            excess => Err(DecodeError::Excess(excess)),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| DecodeError::Truncated)
    }

    fn length(&mut self, field: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > limit { Err(DecodeError::TooLong { field, length, limit }) } else { Ok(length) }
    }
}
