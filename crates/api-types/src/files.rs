//! The files of a session.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listing {
    /// below the workspace; empty for itself
    pub path: String,
    #[schema(inline, max_items = 10_000)]
    pub entries: Vec<FileEntry>,
    /// there may be more
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    pub name: String,
    #[serde(rename = "type")]
    #[schema(inline)]
    pub kind: FileType,
    pub size: u64,
    #[schema(value_type = Option<String>, required)]
    pub modified: Option<Time>,
    /// octal
    pub mode: String,
    /// of a symbolic link
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub target: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    File,
    Directory,
    Symlink,
    Other,
    #[serde(other, skip_serializing)]
    Unknown,
}
