//! Names of agent templates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of an agent template: the name of its directory, or `default` if AGENT_DIR is itself the only template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentName(String);

#[derive(Debug, thiserror::Error)]
#[error(
    "an agent's name has 1 to {} letters, digits, `-`, `_` and `.`, and begins with a letter or a digit",
    AgentName::MAX_LENGTH
)]
pub struct InvalidAgentName;

impl AgentName {
    const MAX_LENGTH: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `default`. If no template has that name, it selects the default agent.
    pub fn is_alias(&self) -> bool {
        *self == AgentName::default()
    }
}

/// `default` is the name of a template that is AGENT_DIR itself.
impl Default for AgentName {
    fn default() -> Self {
        AgentName("default".to_owned())
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(text: &str) -> Result<Self, InvalidAgentName> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let shaped = text.bytes().all(inner) && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let short = text.len() <= Self::MAX_LENGTH;
        if shaped && short { Ok(AgentName(text.to_owned())) } else { Err(InvalidAgentName) }
    }
}

impl TryFrom<String> for AgentName {
    type Error = InvalidAgentName;

    fn try_from(text: String) -> Result<Self, InvalidAgentName> {
        text.parse()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
