//! Generates shell tools for an agent from a description of an API: a browser's recording (HAR) or an OpenAPI document.
//! Both are translated to one model, and one writer turns the model into scripts.
//!
//! | module | contains |
//! |---|---|
//! | `har`, `openapi` | the two inputs |
//! | `input` | files as text and as values, also if they are damaged |
//! | `model`, `builder` | [`Collection`]: the tools and their operations |
//! | `left_out` | the parts of an input that are in no tool |
//! | `names`, `secrets` | generated names; the detection of secrets |
//! | `write`, `help` | the scripts. All share `runtime.sh` |
//! | `report` | the summary for the user, and texts for AGENTS.md and `agent.toml` |
//!
//! Invariants:
//! - There is no I/O. The caller reads the files to which an OpenAPI document refers.
//! - Inputs may be hostile: a recording contains text of foreign servers. A script contains input only as quoted
//!   literals, or as names that this crate generates.
//! - Recorded values never reach a script, except paths, harmless headers and the documents of GraphQL operations.
//! - A part of an input that cannot be used is left out and named. The rest is used.

mod builder;
mod har;
mod help;
mod input;
mod left_out;
mod model;
mod names;
mod openapi;
mod report;
mod secrets;
mod write;

pub use har::{Chosen, from_har};
pub use input::yaml::YamlError;
pub use left_out::{LeftOut, Omitted};
pub use model::Collection;
pub use openapi::{ReadFile, from_openapi};
pub use report::report;
pub use write::{ToolFile, write};

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
