//! The `type` and `subtype` of a line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::Text;

pub(super) struct Head<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) subtype: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    /// Reads the head of a line with the CLI's usual key order, `type` first and `subtype` second. Nothing is
    /// validated.
    pub(super) fn peek(line: &'a str) -> Option<Self> {
        let (kind, rest) = plain_string(line.strip_prefix(r#"{"type":"#)?)?;
        let subtype = rest.strip_prefix(r#","subtype":"#).and_then(plain_string).map(|(subtype, _)| subtype.into());
        Some(Self { kind: kind.into(), subtype })
    }

    /// Reads the whole line with any key order. Returns `None` if it is not a JSON object.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(line);
        let head = json.deserialize_map(HeadVisitor).ok()?;
        json.end().ok()?;
        Some(head)
    }

    /// `type` or `type/subtype`.
    pub(super) fn into_kind(self) -> Cow<'a, str> {
        match self.subtype {
            Some(subtype) => format!("{}/{subtype}", self.kind).into(),
            None => self.kind,
        }
    }
}

/// Splits an unescaped string off the front of `json`. Returns it and the rest.
fn plain_string(json: &str) -> Option<(&str, &str)> {
    json.strip_prefix('"')?.split_once('"').filter(|(text, _)| !text.contains('\\'))
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut subtype) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            let value = match key.as_ref() {
                "type" => &mut kind,
                "subtype" => &mut subtype,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let raw = map.next_value::<&RawValue>()?;
            // The first `type` counts, as in `peek`.
            if value.is_none() {
                *value = serde_json::from_str(raw.get()).ok().map(|Text(text)| text);
            }
        }
        Ok(Head { kind: kind.unwrap_or_default(), subtype })
    }
}
