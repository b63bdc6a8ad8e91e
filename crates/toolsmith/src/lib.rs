//! Generates shell tools for an agent from a description of an API: a browser's recording (HAR) or an OpenAPI document.
//! Both are translated to one model, and one writer turns the model into scripts.
//!
//! | module | contains |
//! |---|---|
//! | `har`, `openapi`, `yaml` | the two inputs |
//! | `model` | [`Collection`]: the tools and their operations |
//! | `names`, `secrets` | generated names; the detection of secrets |
//! | `write` | the scripts. All share `runtime.sh` |
//! | `report` | the summary for the user, and texts for AGENTS.md and `agent.toml` |
//!
//! Invariants:
//! - There is no I/O.
//! - Inputs may be hostile: a recording contains text of foreign servers. A script contains input only as quoted
//!   literals, or as names that this crate generates.
//! - Recorded values never reach a script, except paths and harmless headers.

mod har;
mod model;
mod names;
mod openapi;
mod report;
mod secrets;
mod write;
mod yaml;

pub use har::{Chosen, from_har};
pub use model::{Collection, LeftOut};
pub use openapi::from_openapi;
pub use report::report;
pub use write::{ToolFile, write};
pub use yaml::YamlError;

/// The reason why an input is unusable. The caller adds the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("it is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("it is not YAML: {0}")]
    NotYaml(YamlError),
    #[error("{place}: {reason}")]
    Entry { place: String, reason: String },
    #[error("{0}")]
    Nothing(String),
}

impl InputError {
    fn at(place: impl Into<String>, reason: impl Into<String>) -> Self {
        InputError::Entry { place: place.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests;
