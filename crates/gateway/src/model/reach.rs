//! What a model request would have the API itself fetch or keep: a way out that no rule of ours would see.
//!
//! The API fetches images and documents by URL, connects to MCP servers, runs programs and reads stored files for whoever
//! asks. An agent that posts such a request by hand could name any address in it. Claude Code uses none of these.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Which of them a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reach {
    #[error("Claude Runner forwards no content by URL, since the model API would fetch it; send it as base64")]
    Url,
    #[error("Claude Runner forwards no files that are stored at the model API")]
    File,
    #[error("Claude Runner forwards no MCP connectors, containers or skills of the model API")]
    Connector,
    #[error("Claude Runner forwards no such tool of the model API, only web search and the agent's own")]
    Tool,
    #[error("the request is not one of the Messages API: it is no JSON, or nested too deeply")]
    Unreadable,
}

impl Reach {
    /// For the audit log.
    pub(super) fn what(self) -> &'static str {
        match self {
            Reach::Url => "content by URL",
            Reach::File => "stored files",
            Reach::Connector => "connectors and containers",
            Reach::Tool => "a tool of the model API",
            Reach::Unreadable => "not readable",
        }
    }
}

/// Tools that are no schema of the agent's own: these run in the sandbox, or search without an address.
const OPEN_TOOLS: [&str; 7] =
    ["custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_", "web_search_"];
const CONNECTORS: [&str; 3] = ["mcp_servers", "container", "skills"];

pub(super) fn check(body: &[u8]) -> Result<(), Reach> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    // An error is what ends the walk once something is found. Any other, the bound on depth above all, would leave the rest
    // unread.
    let walked = Walk { place: Place::Top, found: &mut found }.deserialize(&mut reader);
    walked.map_err(|_| found.unwrap_or(Reach::Unreadable))
}

/// Where in a request a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Tools,
    /// Messages, system prompt and all that is in them
    Content,
    /// The `source` of an image or a document
    Source,
}

struct Walk<'a> {
    place: Place,
    found: &'a mut Option<Reach>,
}

impl Walk<'_> {
    fn inside(&mut self, place: Place) -> Walk<'_> {
        Walk { place, found: self.found }
    }

    fn find<E: serde::de::Error>(&mut self, reach: Reach) -> E {
        *self.found = Some(reach);
        E::custom(reach)
    }

    fn of_key(&self, key: &str) -> Result<Option<Place>, Reach> {
        match (self.place, key) {
            (Place::Top, key) if CONNECTORS.contains(&key) => Err(Reach::Connector),
            (Place::Top, "tools") => Ok(Some(Place::Tools)),
            (Place::Top, "messages" | "system") => Ok(Some(Place::Content)),
            (Place::Source, "url") => Err(Reach::Url),
            (Place::Content | Place::Source, "file_id") => Err(Reach::File),
            // A call's arguments and its schema are the agent's own words: whatever stands in them, nobody follows it.
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
        while let Some(key) = map.next_key::<String>()? {
            if self.place == Place::Tools && key == "type" {
                let kind = map.next_value::<serde_json::Value>()?;
                let is_open = |kind: &str| OPEN_TOOLS.iter().any(|open| kind.starts_with(open));
                if !kind.is_null() && !kind.as_str().is_some_and(is_open) {
                    return Err(self.find(Reach::Tool));
                }
                continue;
            }
            match self.of_key(&key) {
                Ok(Some(place)) => map.next_value_seed(self.inside(place))?,
                Ok(None) => {
                    map.next_value::<IgnoredAny>()?;
                }
                // Said to be nothing.
                Err(Reach::Connector) if map.next_value::<serde_json::Value>()?.is_null() => {}
                Err(reach) => return Err(self.find(reach)),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let place = self.place;
        while seq.next_element_seed(self.inside(place))?.is_some() {}
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_would_fetch_is_found_wherever_it_stands() {
        let message = |content: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        for (body, reach) in [
            (message(r#"[{"type":"image","source":{"type":"url","url":"http://a/?x"}}]"#), Reach::Url),
            (message(r#"[{"type":"image","source":{"type":"base64","\u0075rl":"http://a"}}]"#), Reach::Url),
            (
                message(r#"[{"type":"tool_result","content":[{"type":"document","source":{"url":"http://a"}}]}]"#),
                Reach::Url,
            ),
            (
                message(r#"[{"type":"document","source":{"type":"content","content":[{"source":{"url":1}}]}}]"#),
                Reach::Url,
            ),
            (message(r#"[{"type":"image","source":{"type":"file","file_id":"f"}}]"#), Reach::File),
            (message(r#"[{"type":"container_upload","file_id":"f"}]"#), Reach::File),
            (r#"{"mcp_servers":[{"type":"url","url":"https://a"}]}"#.to_owned(), Reach::Connector),
            (r#"{"model":"m","container":"c"}"#.to_owned(), Reach::Connector),
            (r#"{"tools":[{"name":"a","input_schema":{}},{"type":"web_fetch_20250910"}]}"#.to_owned(), Reach::Tool),
            (r#"{"tools":[{"type":"code_execution_20250522"}]}"#.to_owned(), Reach::Tool),
            (r#"{"tools":[{"type":"custom","type":"mcp_toolset"}]}"#.to_owned(), Reach::Tool),
            ("not JSON".to_owned(), Reach::Unreadable),
            (message(&format!("{}{}", "[".repeat(200), "]".repeat(200))), Reach::Unreadable),
        ] {
            assert_eq!(check(body.as_bytes()), Err(reach), "{body}");
        }
    }

    #[test]
    fn the_agents_own_words_pass() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"see http://a"}],"container":null}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"source":{"url":"http://a","file_id":"f"}}}]}]}"#,
            r#"{"messages":[{"content":[{"type":"web_search_tool_result","content":[{"url":"http://a"}]}]}]}"#,
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"aa"}}]}]}"#,
            r#"{"tools":[{"name":"a","input_schema":{"type":"object","properties":{"url":{"type":"x"}}}}]}"#,
            r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}],"stream":true,"n":[1,-1,0.5,null]}"#,
        ] {
            assert_eq!(check(body.as_bytes()), Ok(()), "{body}");
        }
    }
}
