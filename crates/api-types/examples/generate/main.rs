//! Usage: `cargo run -p api-types --example generate [-- --check]`
//!
//! Writes what follows from the structs of this crate: `openapi.json`, `asyncapi.json` and the types of the Python client. With
//! `--check` it writes nothing and fails where a committed file differs. `scripts/generate` runs it, and the generator of the
//! TypeScript types after it.
#![expect(clippy::print_stderr, reason = "a generator reports on stderr")]

mod document;
mod layout;
mod python;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use serde_json::Value;

/// A generated file: its path from the root of the repository, and its text.
struct Generated {
    path: &'static str,
    text: String,
}

fn main() -> io::Result<ExitCode> {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => {
            eprintln!("{other}: the only argument is --check");
            return Ok(ExitCode::from(64));
        }
    };
    let mut exit = ExitCode::SUCCESS;
    for Generated { path, text } in generated()? {
        let file = root().join(path);
        if !check {
            fs::write(file, text)?;
        } else if fs::read_to_string(file).ok().as_deref() != Some(text.as_str()) {
            eprintln!("{path} is out of date: run scripts/generate, and commit the result");
            exit = ExitCode::FAILURE;
        }
    }
    Ok(exit)
}

fn generated() -> Result<[Generated; 3], serde_json::Error> {
    let (openapi, asyncapi) = (document::openapi()?, document::asyncapi()?);
    let text = |document: &Value| layout::text(document);
    Ok([
        Generated { path: "crates/api/src/openapi.json", text: text(&openapi) },
        Generated { path: "crates/api/src/asyncapi.json", text: text(&asyncapi) },
        Generated { path: "clients/python/claude_runner/types.py", text: python::types(&openapi, &asyncapi) },
    ])
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::{generated, root};

    #[test]
    fn generated_files_are_up_to_date() {
        for file in generated().unwrap() {
            let committed = std::fs::read_to_string(root().join(file.path)).unwrap();
            assert!(
                committed == file.text,
                "{} is out of date: run scripts/generate, and commit the result",
                file.path
            );
        }
    }
}
