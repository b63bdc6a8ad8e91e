//! The repository's own files.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file by its path from the root of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the pages of `docs/` and its subdirectories by their paths from the root, sorted.
pub(crate) fn pages() -> Vec<String> {
    let mut found = Vec::new();
    collect_pages("docs", &mut found);
    found.sort();
    found
}

fn collect_pages(directory: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect_pages(&path, found);
        } else if entry.path().extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}
