//! The repository's own files.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file by its path from the root of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages of `docs/` and of the directories below it, by their paths from the root, sorted.
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

/// A Rust file that is no test: its path from the root, and its text up to the tests at its end.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) code: String,
    pub(super) lines: usize,
}

/// All of them, in the crates and in mock-api.
pub(super) fn sources() -> Vec<Source> {
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
