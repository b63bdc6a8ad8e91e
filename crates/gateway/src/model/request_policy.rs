//! Reads a model request: it refuses features with which the API itself would fetch, store or charge something that our rules do
//! not see, and extracts what determines the request's maximum usage.
//!
//! The API fetches images and documents by URL, connects to MCP servers, runs programs and reads stored files for any caller. An
//! agent that sends such a request itself could name any address in it. The API also sells other speeds, regions and service tiers,
//! compaction and a fallback to another model, each at its own price. Claude Code uses none of these.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::bound::Contents;

/// The refused feature that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PolicyViolation {
    #[error("Claude Runner forwards no content by URL, since the model API would fetch it; send it as base64")]
    Url,
    #[error("Claude Runner forwards no files that are stored at the model API")]
    File,
    #[error("Claude Runner forwards no MCP connectors, containers or skills of the model API")]
    Connector,
    #[error("Claude Runner forwards no such tool of the model API, only web search and the agent's own")]
    Tool,
    #[error(
        "Claude Runner forwards no request for another speed, region or service tier, for compaction at the model API or for \
         a fallback model: they change the price"
    )]
    Price,
    #[error("this is not a Messages API request: the body is not JSON, or is nested too deeply")]
    Unreadable,
}

impl PolicyViolation {
    /// The text for the audit log.
    pub(super) fn what(self) -> &'static str {
        match self {
            PolicyViolation::Url => "content by URL",
            PolicyViolation::File => "stored files",
            PolicyViolation::Connector => "connectors and containers",
            PolicyViolation::Tool => "a tool of the model API",
            PolicyViolation::Price => "another price",
            PolicyViolation::Unreadable => "not readable",
        }
    }
}

/// Tools that are not schemas of the agent: these run in the sandbox, or search without an address.
const OPEN_TOOLS: [&str; 7] =
    ["custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_", "web_search_"];
const CONNECTORS: [&str; 3] = ["mcp_servers", "container", "skills"];

/// Tools that the API runs itself, within the request.
const SERVER_TOOLS: [&str; 1] = ["web_search_"];

/// Fields that change the price, and their values that do not.
const PRICED: [(&str, &[&str]); 6] = [
    ("speed", &["standard"]),
    ("inference_geo", &["global"]),
    ("service_tier", &["standard_only"]),
    ("compaction", &[]),
    ("fallbacks", &[]),
    ("fallback_model", &[]),
];
/// The prefix of edits in `context_management` that make the API sample again.
const COMPACTION: &str = "compact";

/// Fields of a request whose price is known.
const KNOWN_FIELDS: [&str; 18] = [
    "cache_control",
    "context_management",
    "diagnostics",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

pub(super) fn check(body: &[u8]) -> Result<Contents, PolicyViolation> {
    let mut found = None;
    let mut contents = Contents::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    // The walk ends with an error once it finds something. Any other error, mainly the limit on depth, would leave the rest unread.
    let walked = Walk { place: Place::Top, found: &mut found, contents: &mut contents }.deserialize(&mut reader);
    walked.map_err(|_| found.unwrap_or(PolicyViolation::Unreadable))?;
    Ok(contents)
}

/// The place of a value in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Tools,
    /// Messages, system prompt and all that is in them
    Content,
    /// The `source` of an image or a document
    Source,
    /// Instructions for the context, which the API carries out before it samples
    Context,
}

struct Walk<'a> {
    place: Place,
    found: &'a mut Option<PolicyViolation>,
    contents: &'a mut Contents,
}

impl Walk<'_> {
    fn inside(&mut self, place: Place) -> Walk<'_> {
        Walk { place, found: self.found, contents: self.contents }
    }

    fn find<E: serde::de::Error>(&mut self, violation: PolicyViolation) -> E {
        *self.found = Some(violation);
        E::custom(violation)
    }

    fn of_key(&self, key: &str) -> Result<Option<Place>, PolicyViolation> {
        match (self.place, key) {
            (Place::Top, key) if CONNECTORS.contains(&key) => Err(PolicyViolation::Connector),
            (Place::Top, key) if PRICED.iter().any(|(field, _)| *field == key) => Err(PolicyViolation::Price),
            (Place::Top, "context_management") | (Place::Context, _) => Ok(Some(Place::Context)),
            (Place::Top, "tools") => Ok(Some(Place::Tools)),
            (Place::Top, "messages" | "system") => Ok(Some(Place::Content)),
            (Place::Source, "url") => Err(PolicyViolation::Url),
            (Place::Content | Place::Source, "file_id") => Err(PolicyViolation::File),
            // A call's arguments and its schema are the agent's own text, which the API does not interpret.
            (Place::Content, "input") | (Place::Top | Place::Tools, _) => Ok(None),
            (Place::Content, "source") => Ok(Some(Place::Source)),
            (Place::Content | Place::Source, _) => Ok(Some(Place::Content)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut source = Source::default();
        while let Some(key) = map.next_key::<String>()? {
            match (self.place, key.as_str()) {
                (Place::Tools, "type") => {
                    let kind = map.next_value::<Value>()?;
                    if !self.contents.add_tool(&kind) {
                        return Err(self.find(PolicyViolation::Tool));
                    }
                    continue;
                }
                (Place::Tools, "max_uses") => {
                    let uses = map.next_value::<Value>()?.as_u64().unwrap_or_default();
                    self.contents.max_uses = self.contents.max_uses.max(uses);
                    continue;
                }
                (Place::Source, "data" | "media_type" | "type") => {
                    source.read(&key, &map.next_value::<Value>()?);
                    continue;
                }
                (Place::Top, key) if !is_known(key) => {
                    let is_set = !map.next_value::<Value>()?.is_null();
                    self.contents.unknown_fields += u64::from(is_set);
                    continue;
                }
                (Place::Top | Place::Tools | Place::Content | Place::Source | Place::Context, _) => {}
            }
            match self.of_key(&key) {
                Ok(Some(place)) => map.next_value_seed(self.inside(place))?,
                Ok(None) => {
                    map.next_value::<IgnoredAny>()?;
                }
                Err(violation) => {
                    let value = map.next_value::<Value>()?;
                    if !is_harmless(violation, &key, &value) {
                        return Err(self.find(violation));
                    }
                }
            }
        }
        match self.place {
            Place::Source => self.contents.add_source(&source),
            Place::Tools => self.contents.tools += 1,
            Place::Top | Place::Content | Place::Context => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let place = self.place;
        while seq.next_element_seed(self.inside(place))?.is_some() {}
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        if self.place == Place::Context && text.starts_with(COMPACTION) {
            return Err(self.find(PolicyViolation::Price));
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}

fn is_known(field: &str) -> bool {
    KNOWN_FIELDS.contains(&field) || CONNECTORS.contains(&field) || PRICED.iter().any(|(priced, _)| *priced == field)
}

/// Returns true if a refused field has its default value.
fn is_harmless(violation: PolicyViolation, field: &str, value: &Value) -> bool {
    let mut priced = PRICED.iter().filter(|(priced, _)| violation == PolicyViolation::Price && *priced == field);
    let usual = priced.any(|(_, usual)| value.as_str().is_some_and(|value| usual.contains(&value)));
    usual || (value.is_null() && matches!(violation, PolicyViolation::Connector | PolicyViolation::Price))
}

/// The source of an image or a document.
#[derive(Default)]
struct Source {
    bytes: u64,
    media_type: String,
    is_text: bool,
}

impl Source {
    fn read(&mut self, field: &str, value: &Value) {
        let text = value.as_str().unwrap_or_default();
        match field {
            "data" => self.bytes += text.len() as u64,
            "media_type" => text.clone_into(&mut self.media_type),
            _ => self.is_text = text == "text" || text == "content",
        }
    }
}

impl Contents {
    fn add_source(&mut self, source: &Source) {
        if source.bytes == 0 || source.is_text {
            return;
        }
        if source.media_type.starts_with("image/") {
            self.images += 1;
        } else {
            self.documents += 1;
        }
        self.attached_bytes += source.bytes;
    }

    /// Counts a tool of the kind that its `type` names. Returns false if the tool is not forwarded.
    fn add_tool(&mut self, kind: &Value) -> bool {
        let Some(kind) = kind.as_str() else { return kind.is_null() };
        let starts_with_one_of = |names: &[&str]| names.iter().any(|name| kind.starts_with(name));
        self.api_tools += u64::from(kind != "custom");
        self.server_tools += u64::from(starts_with_one_of(&SERVER_TOOLS));
        starts_with_one_of(&OPEN_TOOLS)
    }
}

#[cfg(test)]
mod tests;
