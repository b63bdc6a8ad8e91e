//! Shell tools for an agent, made of what is known of an API: a recording of a browser or an OpenAPI document. Both become the
//! same model, which one writer turns into scripts. No I/O here.
//!
//! What is read may be hostile: a recording holds what foreign servers said. Nothing of it is written into a script but as a
//! quoted literal or a name of our own making, and of recorded values nothing but paths and harmless headers.

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

/// A file that tools cannot be made of. The file itself is named by who read it.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("it is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("it is no YAML: {0}")]
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
