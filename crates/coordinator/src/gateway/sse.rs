//! Finds the usage in a streamed answer while it passes.

use serde::Deserialize;

use super::tokens::StatedUsage;

/// What one event of the stream says about usage.
#[derive(Debug)]
pub(super) struct Statement {
    /// Only `message_start` names the model.
    pub(super) model: Option<String>,
    pub(super) usage: StatedUsage,
}

/// Reads server-sent events from pieces of any size. Lines that cannot state usage are not kept.
#[derive(Default)]
pub(super) struct UsageReader {
    line: Vec<u8>,
    too_long: bool,
}

impl UsageReader {
    /// The events that state usage are under 2 KB; a longer line is content.
    const MAX_LINE_BYTES: usize = 64 << 10;

    /// Takes the next piece and calls `found` for each statement that it completes.
    pub(super) fn read(&mut self, piece: &[u8], mut found: impl FnMut(Statement)) {
        // A line ends with LF, CR or both; the empty line that CR LF then makes states nothing.
        for part in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (content, ended) = match part.split_last() {
                Some((b'\n' | b'\r', content)) => (content, true),
                _ => (part, false),
            };
            self.too_long |= self.line.len() + content.len() > Self::MAX_LINE_BYTES;
            if !self.too_long {
                self.line.extend_from_slice(content);
            }
            if ended {
                self.end_line(&mut found);
            }
        }
    }

    /// The stream has ended or was cut: a last line without its end counts.
    pub(super) fn finish(&mut self, mut found: impl FnMut(Statement)) {
        self.end_line(&mut found);
    }

    fn end_line(&mut self, found: &mut impl FnMut(Statement)) {
        if !self.too_long
            && let Some(statement) = self.line.strip_prefix(b"data:").and_then(statement)
        {
            found(statement);
        }
        self.line.clear();
        self.too_long = false;
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    MessageDelta {
        #[serde(default)]
        usage: StatedUsage,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    #[serde(default)]
    usage: StatedUsage,
}

fn statement(data: &[u8]) -> Option<Statement> {
    // Most events are deltas of text; this spares their parsing. Inside a string the quotes would be escaped.
    const FIELD: &[u8] = br#""usage""#;
    if !data.windows(FIELD.len()).any(|window| window == FIELD) {
        return None;
    }
    match serde_json::from_slice(data).ok()? {
        Event::MessageStart { message } => Some(Statement { model: message.model, usage: message.usage }),
        Event::MessageDelta { usage } => Some(Statement { model: None, usage }),
        Event::Other => None,
    }
}

/// The statement of an answer that is one JSON document.
pub(super) fn statement_of_json(body: &[u8]) -> Option<Statement> {
    let message: Message = serde_json::from_slice(body).ok()?;
    Some(Statement { model: message.model, usage: message.usage })
}
