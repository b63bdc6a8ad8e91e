use bytes::{Buf, Bytes, BytesMut};
use sandbox_link::frame::{MAX_PIECE, UpFrame};

/// Splits a program's output into lines, and lines into pieces. The pieces share the buffer's memory.
#[derive(Default)]
pub(crate) struct Lines {
    /// Number of bytes at the front of the buffer that contain no newline.
    searched: usize,
    /// The last piece did not end its line.
    within_line: bool,
}

impl Lines {
    /// Takes the next complete line, or a piece of [`MAX_PIECE`] bytes, off the front of `buffer`.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Option<UpFrame> {
        let newline = buffer[self.searched..].iter().position(|&byte| byte == b'\n').map(|at| self.searched + at);
        match newline {
            Some(at) if at <= MAX_PIECE => {
                let piece = buffer.split_to(at).freeze();
                buffer.advance(1);
                self.searched = 0;
                self.within_line = false;
                Some(UpFrame::Stdout { piece, ends_line: true })
            }
            found => {
                self.searched = found.unwrap_or(buffer.len());
                if self.searched < MAX_PIECE {
                    return None;
                }
                self.searched -= MAX_PIECE;
                self.within_line = true;
                Some(UpFrame::Stdout { piece: buffer.split_to(MAX_PIECE).freeze(), ends_line: false })
            }
        }
    }

    /// Returns the program's last line if it has no newline.
    pub(crate) fn last(self, buffer: BytesMut) -> Option<UpFrame> {
        let piece: Bytes = buffer.freeze();
        (self.within_line || !piece.is_empty()).then_some(UpFrame::Stdout { piece, ends_line: true })
    }
}

#[cfg(test)]
mod tests;
