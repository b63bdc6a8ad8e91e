use bytes::{Buf, Bytes, BytesMut};
use sandbox_link::frame::{MAX_PIECE, UpFrame};

/// Cuts what a program writes into lines, and lines into pieces. The pieces share the buffer's memory.
#[derive(Default)]
pub(crate) struct Lines {
    /// How much at the front of the buffer is known to have no newline.
    searched: usize,
    /// A piece without the end of its line was the last one given.
    within_line: bool,
}

impl Lines {
    /// The next whole line, or piece of [`MAX_PIECE`], at the front of `buffer`.
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

    /// What is left when the program has ended: its last line, where that has no newline.
    pub(crate) fn last(self, buffer: BytesMut) -> Option<UpFrame> {
        let piece: Bytes = buffer.freeze();
        (self.within_line || !piece.is_empty()).then_some(UpFrame::Stdout { piece, ends_line: true })
    }
}

#[cfg(test)]
mod tests;
