//! Reads a model request: it refuses features with which the API itself would fetch, store or charge something that our rules do
//! not see, and extracts what determines the request's maximum usage.
//!
//! The API fetches images and documents by URL, connects to MCP servers, runs programs and reads stored files for any caller. An
//! agent that sends such a request itself could name any address in it. The API also sells other speeds, regions and service tiers,
//! compaction and a fallback to another model, each at its own price. Claude Code uses none of these.
//!
//! | module | contains |
//! |---|---|
//! | `walk` | the walk through a body, with the place of each value |
//! | `value` | the values that decide, read without building what an agent wrote |

use walk::{Place, Walk};

use crate::bound::Contents;
use crate::budget::MAX_MODEL_CHARS;

mod value;
mod walk;

#[cfg(test)]
mod tests;

/// The refused feature that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        "{field}: Claude Runner does not forward this field, which may change the price; leave it out, or give it its default \
         value"
    )]
    Price { field: String },
    #[error("context_management: Claude Runner forwards no compaction at the model API, because it changes the price")]
    Compaction,
    #[error("model: at most {MAX_MODEL_CHARS} characters")]
    ModelName,
    #[error("Claude Runner forwards no betas in the body of a request; send them in the header anthropic-beta")]
    Betas,
    #[error("this is not a Messages API request: the body is not JSON, or is nested too deeply")]
    Unreadable,
}

impl PolicyViolation {
    /// The text for the audit log.
    pub(super) fn what(&self) -> &'static str {
        match self {
            PolicyViolation::Url => "content by URL",
            PolicyViolation::File => "stored files",
            PolicyViolation::Connector => "connectors and containers",
            PolicyViolation::Tool => "a tool of the model API",
            PolicyViolation::Price { .. } | PolicyViolation::Compaction => "another price",
            PolicyViolation::ModelName => "a model's name that is too long",
            PolicyViolation::Betas => "betas in the body",
            PolicyViolation::Unreadable => "not readable",
        }
    }
}

/// A request that is forwarded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) contents: Contents,
    /// The first fields that this version does not know.
    pub(super) unknown_fields: Vec<String>,
}

pub(super) fn check(body: &[u8]) -> Result<Checked, PolicyViolation> {
    let mut found = None;
    let mut checked = Checked::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    // The walk ends with an error once it finds something. Any other error, mainly the limit on depth, would leave the rest unread.
    let walked = Walk::new(Place::Top, &mut found, &mut checked).read(&mut reader);
    walked.map_err(|_| found.unwrap_or(PolicyViolation::Unreadable))?;
    Ok(checked)
}
