//! The repository's own files.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file by its path from the root of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the directories of all packages below `crates`.
pub(crate) fn packages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// A Rust file outside the tests: its path from the root, and its text up to the tests at its end.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) code: String,
    pub(crate) lines: usize,
}

/// Returns all source files of the crates and of mock-api.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let crates = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for member in crates.chain([root().join("mock-api")]) {
        collect(&member.join("src"), &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().count();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let is_comment = |line: &&str| line.trim_start().starts_with("//");
            let code = code.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n");
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path, code, lines });
        }
    }
}
