//! The decoder: bytes to lines, lines to events.

use std::fmt;

use crate::decode::decode;
use crate::event::AgentEvent;
use crate::surrogates;

/// Splits the CLI's stdout into lines and decodes each. Chunks may be cut anywhere. A line ends at `\n`; one `\r`
/// before it is stripped. Blank lines are ignored.
pub struct Decoder {
    max_line_bytes: usize,
    /// The beginning of an incomplete line, at most `max_line_bytes`.
    kept: Vec<u8>,
    /// The current line was reported as too long; the rest of it is dropped.
    skipping: bool,
}

/// One line and its event.
#[derive(Debug, Clone)]
pub struct AgentLine<'a> {
    /// The line as received, without its line ending: valid JSON.
    pub raw: &'a str,
    pub event: AgentEvent<'a>,
}

/// The reason why a line gave no event. An excerpt has the first 200 characters of the line; U+FFFD replaces bytes that
/// are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// The line is longer than `limit` bytes without its `\n`. It is reported once; the rest of the line is skipped.
    TooLong {
        limit: usize,
    },
    NotUtf8 {
        excerpt: String,
    },
    NotJson {
        excerpt: String,
    },
}

/// Enough characters to recognise a message, few enough for a log line.
const EXCERPT_CHARS: usize = 200;

/// The capacity that the buffer keeps between lines. A decoder lives as long as its process, and one line of several
/// megabytes must not hold that memory for the rest of its life.
const IDLE_CAPACITY_BYTES: usize = 4096;

impl Decoder {
    /// `max_line_bytes` counts a line without its `\n`. A line of exactly that length is decoded.
    pub fn new(max_line_bytes: usize) -> Self {
        Self { max_line_bytes, kept: Vec::new(), skipping: false }
    }

    /// Calls `sink` for every line that ends in `bytes`, in order. A line that lies entirely inside `bytes` is decoded
    /// in place.
    pub fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(Result<AgentLine<'_>, LineError>)) {
        let mut rest = bytes;
        while let Some(end) = newline(rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.skipping {
                self.skipping = false;
            } else if self.exceeds_limit(line) {
                sink(Err(self.too_long()));
            } else if self.kept.is_empty() {
                decode_line(line, &mut sink);
            } else {
                self.kept.extend_from_slice(line);
                decode_line(&self.kept, &mut sink);
            }
            self.forget();
        }
        if self.skipping {
            return;
        }
        if self.exceeds_limit(rest) {
            self.skipping = true;
            self.forget();
            sink(Err(self.too_long()));
        } else {
            self.kept.extend_from_slice(rest);
        }
    }

    /// Decodes a last line without `\n` at the end of the input. The decoder can then be fed another input.
    pub fn finish(&mut self, mut sink: impl FnMut(Result<AgentLine<'_>, LineError>)) {
        decode_line(&self.kept, &mut sink);
        self.skipping = false;
        self.forget();
    }

    fn exceeds_limit(&self, more: &[u8]) -> bool {
        self.kept.len() + more.len() > self.max_line_bytes
    }

    fn too_long(&self) -> LineError {
        LineError::TooLong { limit: self.max_line_bytes }
    }

    fn forget(&mut self) {
        self.kept.clear();
        self.kept.shrink_to(IDLE_CAPACITY_BYTES);
    }
}

/// Returns the position of the first `\n`. The search tests whole blocks without a branch per byte, which the compiler
/// turns into vector instructions. Byte by byte, the search took a quarter of the decoding time.
fn newline(bytes: &[u8]) -> Option<usize> {
    const BLOCK_BYTES: usize = 32;
    let has_newline = |block: &[u8]| block.iter().fold(0, |found, &byte| found | u8::from(byte == b'\n')) != 0;
    let blocks_without = bytes.chunks_exact(BLOCK_BYTES).take_while(|block| !has_newline(block)).count();
    let start = blocks_without * BLOCK_BYTES;
    bytes[start..].iter().position(|&byte| byte == b'\n').map(|at| start + at)
}

fn decode_line(line: &[u8], sink: &mut impl FnMut(Result<AgentLine<'_>, LineError>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.trim_ascii_start().is_empty() {
        return;
    }
    let Ok(raw) = str::from_utf8(line) else {
        return sink(Err(LineError::NotUtf8 { excerpt: excerpt(line) }));
    };
    let json = surrogates::replace_lone(raw);
    match decode(&json) {
        Some(event) => sink(Ok(AgentLine { raw, event })),
        None => sink(Err(LineError::NotJson { excerpt: excerpt(line) })),
    }
}

fn excerpt(line: &[u8]) -> String {
    // A character has at most four bytes, so this cut never removes one of the first EXCERPT_CHARS characters.
    let beginning = &line[..line.len().min(EXCERPT_CHARS * 4)];
    String::from_utf8_lossy(beginning).chars().take(EXCERPT_CHARS).collect()
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(formatter, "a line has more than {limit} bytes"),
            Self::NotUtf8 { excerpt } => write!(formatter, "a line is not UTF-8: {excerpt:?}"),
            Self::NotJson { excerpt } => write!(formatter, "a line is not JSON: {excerpt:?}"),
        }
    }
}

impl std::error::Error for LineError {}
