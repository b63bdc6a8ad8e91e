//! Extracts the usage from a streamed answer as it passes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::tokens::StatedUsage;

/// The usage that one event of the stream states.
#[derive(Debug)]
pub(super) struct Statement {
    /// Only `message_start` names the model.
    pub(super) model: Option<String>,
    pub(super) usage: StatedUsage,
    /// It counts the output so far. The figure in `message_start` is only a beginning.
    pub(super) counts_output: bool,
    /// The statement is the last one.
    pub(super) is_final: bool,
}

/// The origin of a stream, by its first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// No line has shown the origin yet.
    #[default]
    Unknown,
    /// A message of the API, with its usage.
    Message,
    /// The API's error in place of a message.
    Error,
    /// Something that the API does not send.
    Foreign,
}

/// Reads server-sent events from pieces of any size. Lines that cannot state usage are not kept.
#[derive(Default)]
pub(super) struct UsageReader {
    origin: Origin,
    line: Vec<u8>,
    /// The length of the whole line, even if it is too long to be kept.
    line_bytes: usize,
    too_long: bool,
    streamed: u64,
    has_ended: bool,
}

impl UsageReader {
    /// The events that state usage are under 2 KB; a longer line is content.
    const MAX_LINE_BYTES: usize = 64 << 10;

    /// The number of bytes around the content in a line of a delta.
    const DELTA_BYTES: usize = 80;

    /// Estimates the tokens of content that have passed since the API last counted its output: one for three bytes, which is a
    /// little high. Thinking that the API does not send is not included.
    pub(super) fn streamed_tokens(&self) -> u64 {
        self.streamed
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns true if the message is complete: `message_stop` has arrived.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns true if nothing has arrived that is not the beginning of a stream of the API.
    pub(super) fn may_be_of_api(&self) -> bool {
        let line = self.line.as_slice();
        let begins = |field: &&[u8]| line.starts_with(field) || field.starts_with(line);
        self.origin == Origin::Unknown
            && (line.is_empty() || FIELDS.iter().any(begins))
            && line.strip_prefix(DATA).is_none_or(|data| Beginning::of(data, &EVENT_FIELDS).may_be(&BEGINNINGS))
    }

    /// Returns true if the last line is only the beginning of one that the API may have sent.
    pub(super) fn is_cut(&self) -> bool {
        let is_whole = |data: &[u8]| Beginning::of(data, &EVENT_FIELDS).is_whole;
        !self.line.is_empty() && self.may_be_of_api() && !self.line.strip_prefix(DATA).is_some_and(is_whole)
    }

    /// Processes the next piece and calls `found` for each statement that it completes.
    pub(super) fn read(&mut self, piece: &[u8], mut found: impl FnMut(Statement)) {
        // A line ends with LF, CR or both. The empty line between CR and LF states nothing.
        for part in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (content, ended) = match part.split_last() {
                Some((b'\n' | b'\r', content)) => (content, true),
                _ => (part, false),
            };
            self.line_bytes += content.len();
            self.too_long |= self.line.len() + content.len() > Self::MAX_LINE_BYTES;
            if !self.too_long {
                self.line.extend_from_slice(content);
            }
            if ended {
                self.end_line(&mut found);
            }
        }
    }

    /// Ends the stream, which may have been cut: a last line without its end counts.
    pub(super) fn finish(&mut self, mut found: impl FnMut(Statement)) {
        self.end_line(&mut found);
    }

    fn end_line(&mut self, found: &mut impl FnMut(Statement)) {
        if self.origin == Origin::Unknown {
            self.origin = if self.too_long { Origin::Foreign } else { origin(&self.line) };
        }
        if !self.too_long
            && let Some(statement) = self.line.strip_prefix(b"data:").and_then(statement)
        {
            if statement.counts_output {
                self.streamed = 0;
            }
            found(statement);
        }
        self.has_ended |= is_end(&self.line);
        if is_delta(&self.line) {
            self.streamed += self.line_bytes.saturating_sub(Self::DELTA_BYTES).div_ceil(3).max(1) as u64;
        }
        self.line.clear();
        self.line_bytes = 0;
        self.too_long = false;
    }
}

/// The beginnings of the lines of an event.
const FIELDS: [&[u8]; 5] = [b":", DATA, b"event:", b"id:", b"retry:"];
const DATA: &[u8] = b"data:";
/// The types of the events with which a stream of the API begins, and their fields.
const BEGINNINGS: [&str; 2] = ["message_start", "ping"];
const EVENT_FIELDS: [&str; 1] = ["message"];

/// Classifies a stream by a line of its beginning.
fn origin(line: &[u8]) -> Origin {
    #[derive(Deserialize)]
    struct Kind<'a> {
        r#type: &'a str,
    }
    let Some(data) = line.strip_prefix(b"data:") else {
        // These are a blank line, a comment, or another field of an event.
        let is_field = FIELDS.iter().any(|field| line.starts_with(field));
        return if line.is_empty() || is_field { Origin::Unknown } else { Origin::Foreign };
    };
    match serde_json::from_slice(data) {
        Ok(Kind { r#type: "ping" }) => Origin::Unknown,
        Ok(Kind { r#type: "error" }) => Origin::Error,
        Ok(Kind { r#type: "message_start" }) if statement(data).is_some_and(|first| first.usage.is_whole()) => {
            Origin::Message
        }
        Ok(_) | Err(_) => Origin::Foreign,
    }
}

/// Returns true if a line is a piece of content. Its type comes first.
fn is_delta(line: &[u8]) -> bool {
    const KIND: &[u8] = br#""content_block_delta""#;
    let beginning = &line[..line.len().min(64)];
    beginning.starts_with(b"data:") && beginning.windows(KIND.len()).any(|window| window == KIND)
}

/// Returns true if a line ends the message.
fn is_end(line: &[u8]) -> bool {
    const KIND: &[u8] = br#""message_stop""#;
    #[derive(Deserialize)]
    struct Kind<'a> {
        r#type: &'a str,
    }
    let beginning = &line[..line.len().min(64)];
    line.strip_prefix(b"data:")
        .filter(|_| beginning.windows(KIND.len()).any(|window| window == KIND))
        .is_some_and(|data| matches!(serde_json::from_slice(data), Ok(Kind { r#type: "message_stop" })))
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    MessageDelta {
        #[serde(default)]
        delta: Delta,
        #[serde(default)]
        usage: StatedUsage,
    },
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Delta {
    /// `None`: the model goes on.
    stop_reason: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message {
    model: Option<String>,
    #[serde(default)]
    usage: StatedUsage,
}

fn statement(data: &[u8]) -> Option<Statement> {
    // Most events are deltas of text, which this check saves from parsing. Inside a string the quotes would be escaped.
    const FIELD: &[u8] = br#""usage""#;
    if !data.windows(FIELD.len()).any(|window| window == FIELD) {
        return None;
    }
    match serde_json::from_slice(data).ok()? {
        Event::MessageStart { message } => {
            Some(Statement { model: message.model, usage: message.usage, counts_output: false, is_final: false })
        }
        Event::MessageDelta { delta, usage } => {
            let counts_output = usage.counts_output();
            Some(Statement {
                model: None,
                usage,
                counts_output,
                is_final: counts_output && delta.stop_reason.is_some(),
            })
        }
        Event::Other => None,
    }
}

/// Returns the statement of an answer in one JSON document. `None`: it is not a message of the API.
pub(super) fn statement_of_json(body: &[u8]) -> Option<Statement> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
        model: Option<String>,
        usage: StatedUsage,
    }
    let Document { r#type, model, usage } = serde_json::from_slice(body).ok()?;
    (r#type == "message" && usage.is_whole()).then_some(Statement { model, usage, counts_output: true, is_final: true })
}

/// Returns true if a document that is not complete may be the beginning of a message of the API: a field shows that it is one, or
/// no field shows that it is not.
pub(super) fn begins_like_message(body: &[u8]) -> bool {
    let seen = Beginning::of(body, &MESSAGE_FIELDS);
    !seen.is_whole && seen.may_be(&["message"])
}

/// The part of a JSON document that has arrived.
struct Beginning {
    /// The fields besides `type` that the document may have.
    fields: &'static [&'static str],
    is_empty: bool,
    is_object: bool,
    is_whole: bool,
    kind: Option<String>,
    has_foreign_field: bool,
}

impl Beginning {
    fn of(document: &[u8], fields: &'static [&'static str]) -> Beginning {
        let is_empty = document.trim_ascii().is_empty();
        let mut seen =
            Beginning { fields, is_empty, is_object: false, is_whole: false, kind: None, has_foreign_field: false };
        let mut json = serde_json::Deserializer::from_slice(document);
        seen.is_whole = (&mut seen).deserialize(&mut json).is_ok();
        seen
    }

    /// Returns true if the document has one of these types, or if nothing tells that it has not.
    fn may_be(&self, kinds: &[&str]) -> bool {
        let kind = self.kind.as_deref();
        self.is_empty || self.is_object && kind.map_or(!self.has_foreign_field, |kind| kinds.contains(&kind))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Beginning {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Beginning {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.is_object = true;
        while let Some(field) = map.next_key::<String>()? {
            if field == "type" {
                self.kind = Some(map.next_value()?);
            } else {
                self.has_foreign_field |= !self.fields.contains(&field.as_str());
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The fields of a message, in the API's documentation.
const MESSAGE_FIELDS: [&str; 9] =
    ["container", "content", "context_management", "id", "model", "role", "stop_reason", "stop_sequence", "usage"];
