//! Bodies as the server reads them. Every member is optional here, so that an error can name the missing member and the
//! forms that there are. Members of any JSON type stay text until their length is checked: a parsed list of numbers takes forty
//! times the memory of its text.

use std::collections::BTreeMap;
use std::fmt;

use domain::session::MAX_VARIABLES;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The body of `POST /task`, of both forms. Without `Debug`: `env` has secrets.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskBody {
    pub session_id: Option<String>,
    pub agent: Option<String>,
    pub message: Option<String>,
    pub prompt: Option<Box<RawValue>>,
    pub context: Option<String>,
    pub env: Option<Variables>,
    pub model: Option<String>,
    pub max_turns: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub max_cost_usd: Option<f64>,
    pub retry: Option<u32>,
    pub metadata: Option<Box<RawValue>>,
    pub webhook: Option<Box<RawValue>>,
    pub asks: Option<Box<RawValue>>,
    pub repo: Option<String>,
    pub base: Option<String>,
    pub branch: Option<String>,
    #[serde(rename = "async")]
    pub respond_async: Option<bool>,
}

/// The member `env`. Reading ends at the first variable that is too many. Without `Debug`: the values are secrets.
#[derive(Default)]
pub struct Variables(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VariablesVisitor)
    }
}

struct VariablesVisitor;

impl<'de> Visitor<'de> for VariablesVisitor {
    type Value = Variables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Variables, A::Error> {
        let mut variables = BTreeMap::new();
        while let Some((name, value)) = members.next_entry()? {
            variables.insert(name, value);
            if variables.len() > MAX_VARIABLES {
                return Err(A::Error::custom(format_args!("it must have at most {MAX_VARIABLES} variables")));
            }
        }
        Ok(Variables(variables))
    }
}

/// The body of `PUT /session/:id/credential`. Without `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialBody {
    pub api_key: Option<String>,
    pub oauth_token: Option<String>,
}
