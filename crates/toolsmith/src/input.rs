//! The bytes of a file as text and as values.
//!
//! | module | contains |
//! |---|---|
//! | `text` | compression and encodings |
//! | `json` | JSON as programs really write it |
//! | `yaml` | YAML |

pub(super) mod json;
pub(super) mod text;
pub(super) mod yaml;
