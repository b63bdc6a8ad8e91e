//! The walk through the body of a model request.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{Source, is_null, number, short_text};
use super::{Checked, PolicyViolation};
use crate::betas::is_seen;
use crate::budget::MAX_MODEL_CHARS;

/// Tools that are not schemas of the agent, but run in the sandbox. A name that ends with `_` is followed by a date.
const CLIENT_TOOLS: [&str; 5] = ["custom", "bash_", "text_editor_", "computer_", "memory_"];
/// Tools that the API runs itself, within the request: they search, without an address of the agent's choice. The model samples again
/// after each use.
const SERVER_TOOLS: [&str; 2] = ["tool_search_tool_", SEARCH];
const SEARCH: &str = "web_search_";
const CONNECTORS: [&str; 3] = ["mcp_servers", "container", "skills"];

/// Fields that change the price, and their values that do not. They count wherever they stand, because the API may take them for a
/// turn, a message or a tool.
const PRICED: [(&str, &[&str]); 6] = [
    ("speed", &["standard"]),
    ("inference_geo", &["global"]),
    ("service_tier", &["standard_only"]),
    ("compaction", &[]),
    ("fallbacks", &[]),
    ("fallback_model", &[]),
];
/// Parts of names by which a field that this version does not know is taken for one that changes the price.
const PRICED_WORDS: [&str; 9] = ["batch", "compact", "fallback", "fast", "_geo", "priority", "region", "speed", "tier"];
/// The prefix of edits in `context_management` that make the API sample again.
const COMPACTION: &str = "compact";

/// Fields in which gateways of other platforms read the betas of a request.
const BETAS: [&str; 2] = ["anthropic_beta", "betas"];
/// The longest list of betas in a body. The known ones have less than 1 KB together.
const MAX_BETAS_BYTES: usize = 4 << 10;

/// Fields of a request whose price is known. `fallback_credit_token` can only lower it.
const KNOWN_FIELDS: [&str; 19] = [
    "cache_control",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
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
/// The bound on the JSON of a model's name, in bytes. A character has at most twelve in an escape.
const MAX_MODEL_BYTES: usize = 12 * MAX_MODEL_CHARS + 2;

/// The number of unknown fields whose names are kept, and of characters of each.
const MAX_NAMES: usize = 8;
const MAX_NAME_CHARS: usize = 80;

/// The place of a value in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Tools,
    /// Messages, system prompt and all that is in them
    Content,
    /// The `source` of an image or a document
    Source,
    /// Instructions for the context, which the API carries out before it samples
    Context,
    /// Other options of the request or of a tool
    Options,
}

pub(super) struct Walk<'a> {
    place: Place,
    found: &'a mut Option<PolicyViolation>,
    checked: &'a mut Checked,
}

/// The treatment of a field's value.
enum Treatment {
    Read(Place),
    /// The API does not interpret it.
    Skip,
    Refuse(PolicyViolation),
}

impl<'a> Walk<'a> {
    pub(super) fn new(place: Place, found: &'a mut Option<PolicyViolation>, checked: &'a mut Checked) -> Self {
        Walk { place, found, checked }
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(self, body: D) -> Result<(), D::Error> {
        self.deserialize(body)
    }

    fn inside(&mut self, place: Place) -> Walk<'_> {
        Walk { place, found: self.found, checked: self.checked }
    }

    fn find<E: serde::de::Error>(&mut self, violation: PolicyViolation) -> E {
        let error = E::custom(&violation);
        *self.found = Some(violation);
        error
    }

    fn treatment(&self, key: &str) -> Treatment {
        match (self.place, key) {
            // A call's arguments and a schema are the agent's own text, which the API does not interpret.
            (Place::Content, "input") | (Place::Tools, "input_examples") => Treatment::Skip,
            (Place::Tools | Place::Options, key) if key.ends_with("schema") => Treatment::Skip,
            (_, key) if PRICED.iter().any(|(field, _)| *field == key) => Treatment::Refuse(price(key)),
            (Place::Top, key) if CONNECTORS.contains(&key) => Treatment::Refuse(PolicyViolation::Connector),
            (Place::Top, key) if BETAS.contains(&key) => Treatment::Refuse(PolicyViolation::Betas),
            (Place::Top, "context_management") | (Place::Context, _) => Treatment::Read(Place::Context),
            // A message can add a tool, whose definition is in it.
            (Place::Top | Place::Content, "tools") | (Place::Content, "definition") => Treatment::Read(Place::Tools),
            (Place::Top, "messages" | "system") => Treatment::Read(Place::Content),
            (Place::Source, "url") => Treatment::Refuse(PolicyViolation::Url),
            (Place::Content | Place::Source, "file_id") => Treatment::Refuse(PolicyViolation::File),
            (Place::Content, "source") => Treatment::Read(Place::Source),
            (Place::Content, "output_config") | (Place::Top | Place::Tools | Place::Options, _) => {
                Treatment::Read(Place::Options)
            }
            (Place::Content | Place::Source, _) => Treatment::Read(Place::Content),
        }
    }

    /// Reads a field that has a meaning of its own. Returns false for any other field.
    fn read_value<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        source: &mut Source,
    ) -> Result<bool, A::Error> {
        match (self.place, key) {
            (Place::Tools, "type") => {
                let kind = map.next_value::<&RawValue>()?;
                if !self.add_tool(kind) {
                    return Err(self.find(PolicyViolation::Tool));
                }
            }
            (Place::Tools, "max_uses") => {
                let uses = number(map.next_value::<&RawValue>()?);
                self.checked.contents.max_uses = self.checked.contents.max_uses.max(uses);
            }
            (Place::Source, "data" | "media_type" | "type") => source.read(key, map.next_value::<&RawValue>()?),
            (Place::Top, "model") => {
                if is_too_long(map.next_value::<&RawValue>()?.get()) {
                    return Err(self.find(PolicyViolation::ModelName));
                }
            }
            (Place::Top, key) if !is_known(key) => {
                let value = map.next_value::<&RawValue>()?;
                if !is_null(value) {
                    let name = key.to_ascii_lowercase();
                    if PRICED_WORDS.iter().any(|word| name.contains(word)) {
                        return Err(self.find(price(key)));
                    }
                    self.add_unknown(key);
                    let mut inside = serde_json::Deserializer::from_str(value.get());
                    self.inside(Place::Options).deserialize(&mut inside).map_err(A::Error::custom)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_unknown(&mut self, field: &str) {
        self.checked.contents.unknown_fields += 1;
        if self.checked.unknown_fields.len() < MAX_NAMES {
            self.checked.unknown_fields.push(shortened(field));
        }
    }

    /// Counts a tool of the kind that its `type` names. Returns false if the tool is not forwarded.
    fn add_tool(&mut self, kind: &RawValue) -> bool {
        if is_null(kind) {
            return true;
        }
        let Some(kind) = short_text(kind) else { return false };
        let is_one_of = |names: &[&str]| names.iter().any(|name| kind.starts_with(name));
        let is_of_client = is_one_of(&CLIENT_TOOLS);
        let contents = &mut self.checked.contents;
        contents.api_tools += u64::from(kind != "custom");
        // A kind whose place is not known to be the sandbox has no bound.
        contents.server_tools += u64::from(!is_of_client);
        contents.search_tools += u64::from(kind.starts_with(SEARCH));
        is_of_client || is_one_of(&SERVER_TOOLS)
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
            if self.read_value(&key, &mut map, &mut source)? {
                continue;
            }
            match self.treatment(&key) {
                Treatment::Read(place) => map.next_value_seed(self.inside(place))?,
                Treatment::Skip => {
                    map.next_value::<IgnoredAny>()?;
                }
                Treatment::Refuse(violation) => {
                    let value = map.next_value::<&RawValue>()?;
                    if !is_harmless(&violation, &key, value) {
                        return Err(self.find(violation));
                    }
                }
            }
        }
        match self.place {
            Place::Source => source.add_to(&mut self.checked.contents),
            Place::Tools => self.checked.contents.tools += 1,
            Place::Top | Place::Content | Place::Context | Place::Options => {}
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
            return Err(self.find(PolicyViolation::Compaction));
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
    KNOWN_FIELDS.contains(&field)
        || CONNECTORS.contains(&field)
        || BETAS.contains(&field)
        || PRICED.iter().any(|(priced, _)| *priced == field)
}

/// The refusal of a field that may change the price.
fn price(field: &str) -> PolicyViolation {
    PolicyViolation::Price { field: shortened(field) }
}

/// Returns true for the name of a model, as JSON, that has too many characters. Another check refuses what is no text.
fn is_too_long(name: &str) -> bool {
    let chars = || serde_json::from_str::<String>(name).map_or(0, |name| name.chars().count());
    name.len() > MAX_MODEL_BYTES || chars() > MAX_MODEL_CHARS
}

fn shortened(field: &str) -> String {
    field.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

/// Returns true if a refused field has its default value.
fn is_harmless(violation: &PolicyViolation, field: &str, value: &RawValue) -> bool {
    match violation {
        PolicyViolation::Price { .. } => {
            let usual = PRICED.iter().filter(|(priced, _)| *priced == field).flat_map(|(_, usual)| *usual);
            is_null(value) || short_text(value).is_some_and(|text| usual.into_iter().any(|usual| *usual == text))
        }
        PolicyViolation::Connector => is_null(value),
        PolicyViolation::Betas => is_null(value) || are_seen(value),
        PolicyViolation::Url
        | PolicyViolation::File
        | PolicyViolation::Tool
        | PolicyViolation::Compaction
        | PolicyViolation::ModelName
        | PolicyViolation::Unreadable => false,
    }
}

/// Returns true for a list of betas that would pass in the header.
fn are_seen(value: &RawValue) -> bool {
    let json = value.get();
    json.len() <= MAX_BETAS_BYTES
        && serde_json::from_str::<Vec<String>>(json).is_ok_and(|betas| betas.iter().all(|beta| is_seen(beta)))
}
