//! Compares the documents with the code: each list in a document has exactly the items of the code.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod asyncapi;
mod commands;
mod contents;
mod links;
mod openapi;
mod packaging;
mod schema;
mod security;
mod sources;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args as _, Command};
use coordinator::config::ServeOptions;
use domain::task::ErrorType;
use http::StatusCode;

pub(crate) use sources::{pages, read, root};
use tables::Row;
pub(crate) use tables::{code, rows_below};

/// Settings that scripts/run reads and the server does not know.
const OF_SCRIPTS_RUN: [(&str, &str); 3] =
    [("MOCK_API_PORT", "3457"), ("MOCK_API_TOKEN", "acme-demo-token"), ("FORGE_PORT", "3459")];

/// Returns the name and default of every setting of `claude-runner serve`. A setting without a default has an empty one.
fn settings() -> BTreeMap<String, String> {
    let command = ServeOptions::augment_args(Command::new("serve"));
    let setting = |argument: &clap::Arg| {
        let name = argument.get_env()?.to_str()?.to_owned();
        let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
        Some((name, defaults.collect::<Vec<_>>().join(",")))
    };
    command.get_arguments().filter_map(setting).collect()
}

#[test]
fn every_flag_of_serve_is_also_a_variable_of_the_same_name() {
    let command = ServeOptions::augment_args(Command::new("serve"));
    for argument in command.get_arguments() {
        let flag = argument.get_long().map(|flag| flag.replace('-', "_").to_ascii_uppercase());
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), flag.as_deref(), "{}", argument.get_id());
    }
}

#[test]
fn env_example_has_every_setting_with_its_default() {
    let example = read(".env.example");
    let line = |line: &str| {
        let (name, value) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_name.then(|| (name.to_owned(), value.to_owned()))
    };
    let shown: BTreeMap<String, String> = example.lines().filter_map(line).collect();
    let mut expected = settings();
    expected.extend(OF_SCRIPTS_RUN.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(shown, expected);
    // A copy of the file must not change any setting. An empty value differs from a missing one.
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')), "a setting is not commented out");
}

#[test]
fn the_reference_has_every_setting_with_its_default() {
    let shown: BTreeMap<String, String> = rows_below(&read("docs/reference/configuration.md"), "## Settings")
        .iter()
        .map(|row| (code(&row[0]), code(&row[1])))
        .collect();
    assert_eq!(shown, settings());
}

/// `METHOD /path` of every route.
fn routes() -> Vec<String> {
    let mut routes = Vec::new();
    for route in read("crates/api/src/lib.rs").split(".route(\"").skip(1) {
        let (path, rest) = route.split_once('"').unwrap();
        let handlers = rest.split_once(".fallback(").map_or(rest, |(before, _)| before);
        for (call, method) in [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("delete(", "DELETE")] {
            if handlers.contains(call) {
                // Only axum writes a variable for the rest of a path with a star.
                routes.push(format!("{method} {}", path.replace("{*", "{")));
            }
        }
    }
    assert!(routes.len() >= 12, "{routes:?}");
    routes.sort();
    routes
}

#[test]
fn the_reference_has_every_route() {
    // A WebSocket starts as a GET.
    let mut shown: Vec<String> = rows_below(&read("docs/reference/api.md"), "## Routes")
        .iter()
        .map(|row| code(&row[0]).replacen("WS ", "GET ", 1))
        .map(|call| call.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    shown.sort();
    shown.dedup();
    assert_eq!(shown, routes());
}

#[test]
fn the_reference_has_every_error_type_with_its_status() {
    let statuses = statuses_in(&read("crates/api/src/error/task.rs"));
    let expected: BTreeMap<String, String> =
        error_types().into_iter().map(|name| (name.clone(), statuses[&name].to_string())).collect();
    let shown: BTreeMap<String, String> = rows_below(&read("docs/reference/errors.md"), "## Error types")
        .iter()
        .map(|row| (code(&row[0]), row[1].clone()))
        .collect();
    assert_eq!(shown, expected);
}

/// Returns the names on the wire, which serde lists when it gets an unknown one.
pub(crate) fn error_types() -> Vec<String> {
    let error = serde_json::from_str::<ErrorType>(r#""?""#).unwrap_err().to_string();
    let names: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(names.contains(&"aborted".to_owned()), "{error}");
    names
}

/// Returns the number of `StatusCode::NAME`.
fn number(name: &str) -> u16 {
    let reason = name.replace('_', " ");
    let codes = (400..600).filter_map(|code| StatusCode::from_u16(code).ok());
    codes
        .filter(|code| code.canonical_reason().is_some_and(|known| known.eq_ignore_ascii_case(&reason)))
        .map(|code| code.as_u16())
        .next()
        .unwrap_or_else(|| panic!("no status is called {name}"))
}

/// The reference of errors has every code with each of its statuses, and no other.
#[test]
fn the_reference_has_every_code_with_its_status() {
    let source = ["error.rs", "error/conversions.rs", "error/task.rs"]
        .map(|file| read(&format!("crates/api/src/{file}")))
        .concat();
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    // `StatusCode::CONFLICT, "changed"`
    let pair = |text: &str| {
        let (status, rest) = text.split_once(", \"")?;
        let is_name = status.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_name.then(|| (number(status).to_string(), rest.split('"').next().unwrap().to_owned()))
    };
    let expected: BTreeSet<(String, String)> = source.split("StatusCode::").filter_map(pair).collect();

    let page = read("docs/reference/errors.md");
    let of_tasks = rows_below(&page, "## Error types").into_iter().map(|row| (row[1].clone(), code(&row[0])));
    let of_requests = rows_below(&page, "## Errors of requests").into_iter().flat_map(|row| {
        let codes = row[1].split('`').skip(1).step_by(2);
        codes.map(|code| (row[0].clone(), code.to_owned())).collect::<Vec<_>>()
    });
    assert_eq!(of_tasks.chain(of_requests).collect::<BTreeSet<_>>(), expected);
}

/// Returns the status of each name, from lines like `ErrorType::Aborted => (StatusCode::CONFLICT, "aborted")`.
fn statuses_in(source: &str) -> BTreeMap<String, u16> {
    let lines = source.lines().filter(|line| line.trim_start().starts_with("ErrorType::"));
    lines
        .filter_map(|line| {
            let (status, name) = line.split_once("(StatusCode::")?.1.split_once(", \"")?;
            Some((name.split_once('"')?.0.to_owned(), number(status)))
        })
        .collect()
}

/// Returns the types of all events, sorted.
fn event_types() -> Vec<String> {
    let source = read("crates/domain/src/event.rs");
    let kinds = source.split_once("fn kind(").unwrap().1.split_once("\n    }\n").unwrap().0;
    let mut types: Vec<String> = kinds.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    // These two events of the stream itself have no number.
    types.extend(["connected".to_owned(), "gap".to_owned()]);
    types.sort();
    types
}

#[test]
fn the_reference_has_every_event() {
    let mut shown: Vec<String> =
        rows_below(&read("docs/reference/events.md"), "## Types").iter().map(|row| code(&row[0])).collect();
    shown.sort();
    assert_eq!(shown, event_types());
}

#[test]
fn files_that_the_documents_name_exist() {
    let places = ["", "crates", "agent"].map(|place| root().join(place));
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned);
    for document in at_the_root.into_iter().chain(pages()) {
        let text = read(&document);
        // Only inline code counts: code blocks show commands and answers.
        let prose: String = text.split("```").step_by(2).collect();
        for name in prose.split('`').skip(1).step_by(2) {
            let is_file = [".rs", ".sql", ".json", ".toml", ".sh"].iter().any(|ending| name.ends_with(ending));
            let is_ours = name.contains('/') && (is_file || name.ends_with('/'));
            let is_path = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b));
            if is_ours && is_path && !name.starts_with(['/', '~', '.']) {
                assert!(places.iter().any(|place| place.join(name).exists()), "{document} names {name}");
            }
        }
    }
}

/// The first cell of each row must be unique, because the maps above would hide a duplicate.
#[test]
fn no_table_has_a_name_twice() {
    for (page, heading) in [
        ("api", "## Routes"),
        ("events", "## Types"),
        ("errors", "## Error types"),
        ("command-line", "## Commands"),
        ("command-line", "## Exit status"),
        ("configuration", "## Settings"),
    ] {
        let rows: Vec<Row> = rows_below(&read(&format!("docs/reference/{page}.md")), heading);
        let mut names: Vec<&String> = rows.iter().map(|row| &row[0]).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), rows.len(), "{heading}");
    }
}
