//! Compares the OpenAPI document with the routes and with the reference of errors.

use std::collections::BTreeSet;

use serde_json::Value;

use super::sources::read;
use super::tables::rows_below;
use super::{error_types, routes};

const PATH: &str = "crates/api/src/openapi.json";
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn description() -> Value {
    serde_json::from_str(&read(PATH)).unwrap()
}

/// Returns `GET /path` and its description for each operation.
fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| -> Vec<String> {
        assert!(item.as_object().unwrap().keys().all(|key| METHODS.contains(&key.as_str())), "{path}");
        item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_ascii_uppercase())).collect()
    };
    let names = paths.iter().flat_map(of_path);
    names
        .map(|name| {
            let (method, path) = name.split_once(' ').unwrap();
            let operation = &description["paths"][path][method.to_ascii_lowercase()];
            (name, operation)
        })
        .collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let description = description();
    let described: BTreeSet<String> = operations(&description).into_iter().map(|(name, _)| name).collect();
    assert_eq!(described, routes().into_iter().collect());
}

#[test]
fn every_status_of_the_reference_is_described() {
    let description = description();
    let submit = &description["paths"]["/task"]["post"]["responses"];
    let errors = read("docs/reference/errors.md");
    for row in rows_below(&errors, "## Error types") {
        assert!(submit.get(&row[1]).is_some(), "POST /task: {}", row[1]);
    }
    let described: BTreeSet<&String> = operations(&description)
        .into_iter()
        .flat_map(|(_, operation)| operation["responses"].as_object().unwrap().keys())
        .collect();
    for row in rows_below(&errors, "## Errors of requests") {
        // A description has no place for other methods of a path, and must not list 500 (see below).
        assert!(["405", "500"].contains(&row[0].as_str()) || described.contains(&row[0]), "{}", row[0]);
    }
}

#[test]
fn every_error_type_is_described() {
    let description = description();
    let described: BTreeSet<&str> = description["components"]["schemas"]["ErrorType"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(described, error_types().iter().map(String::as_str).collect());
}

/// The document must not list 500, so that a run against it reports every internal error.
#[test]
fn no_internal_error_is_foreseen_and_every_reference_leads_somewhere() {
    let description = description();
    for (name, operation) in operations(&description) {
        assert!(operation["responses"].get("500").is_none(), "{name}");
    }
    let text = read(PATH);
    let references: Vec<&str> =
        text.split("\"$ref\": \"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        assert!(description.pointer(reference).is_some(), "{reference}");
    }
}
