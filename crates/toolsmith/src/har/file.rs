//! The file of a recording: finds the list of its requests, also in a file that is damaged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::InputError;
use crate::input::{json, text};

/// The depth of the list of requests: `log`, `entries`, list.
const DEPTH_OF_ENTRIES: usize = 3;

/// The text of a file, made valid.
pub(super) struct RecordingFile<'a> {
    text: Cow<'a, str>,
    /// The file ends in the middle of a request.
    pub(super) is_cut: bool,
}

/// The parts of a recording. The requests are parsed one by one, so that one of them cannot spoil the others, and a large
/// file is not in memory twice.
pub(super) struct Recording<'a> {
    pub(super) pages: Vec<String>,
    pub(super) creator: String,
    pub(super) entries: Vec<&'a RawValue>,
}

impl<'a> RecordingFile<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, InputError> {
        let text = text::text(bytes)?;
        let error = match check(&text) {
            Ok(()) => return Ok(RecordingFile { text, is_cut: false }),
            Err(error) => error,
        };
        let mended = json::mended(trimmed(&text));
        match check(&mended) {
            Ok(()) => Ok(RecordingFile { text: Cow::Owned(mended), is_cut: false }),
            Err(second) if second.is_eof() => match json::closed(&mended, DEPTH_OF_ENTRIES) {
                Some(closed) => Ok(RecordingFile { text: Cow::Owned(closed), is_cut: true }),
                None => Err(InputError::NotJson(error)),
            },
            Err(_) => Err(InputError::NotJson(error)),
        }
    }

    pub(super) fn recording(&self) -> Result<Recording<'_>, InputError> {
        let wrong = |reason: &str| InputError::at("log.entries", reason);
        let no_har = || wrong("it must be a list; this is not a HAR");
        let raw: &RawValue = serde_json::from_str(trimmed(&self.text)).map_err(InputError::NotJson)?;
        if let Some(entries) = list(raw) {
            return Ok(Recording { pages: Vec::new(), creator: String::new(), entries });
        }
        let root = object(raw).ok_or_else(no_har)?;
        let log = root.get("log").and_then(|log| object(log)).unwrap_or_else(|| root.clone());
        let Some(entries) = log.get("entries").and_then(|entries| list(entries)) else {
            return Err(match () {
                () if root.contains_key("openapi") || root.contains_key("swagger") => {
                    wrong("this is an OpenAPI document; use `tools from-openapi`")
                }
                () if root.contains_key("info") && root.contains_key("item") => {
                    wrong("this is a Postman collection; export it as OpenAPI, or record its requests")
                }
                () => no_har(),
            });
        };
        let parsed = |key: &str| log.get(key).and_then(|raw| json::value(raw.get()).ok()).unwrap_or_default();
        let pages = parsed("pages");
        let titles = pages.as_array().into_iter().flatten().filter_map(|page| page["title"].as_str());
        let creator = parsed("creator")["name"].as_str().unwrap_or_default().to_owned();
        Ok(Recording { pages: titles.map(str::to_owned).collect(), creator, entries })
    }
}

/// Parses a request of a recording.
pub(super) fn entry(raw: &RawValue) -> Result<Value, serde_json::Error> {
    json::value(raw.get())
}

/// Some programs write zero bytes at the end of a file.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}')
}

fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<&RawValue>(trimmed(text)).map(drop)
}

fn object(raw: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}
