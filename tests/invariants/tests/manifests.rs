//! The boundaries between crates: which crate may use which, and which manifest may name which library.

use crate::sources::{packages, read};

/// The crates of the workspace from the binary down. A crate uses only crates of lower layers.
const LAYERS: &[&[&str]] = &[
    &["coordinator"],
    &["cli", "api"],
    &["sessions"],
    &["sandbox"],
    &["gateway", "link", "engine-docker"],
    &["store", "agent-image", "sandbox-init"],
    &["api-types", "forge", "agent-template", "toolsmith", "observe", "engine", "link-transport"],
    &["claude-stream", "sandbox-link", "domain", "failpoint", "network-access"],
];

/// Libraries that one crate wraps. Only these manifests may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("refinery", &["store"]),
    ("axum", &["api"]),
    ("utoipa", &["api-types"]),
    ("tower-http", &["api"]),
    ("bollard", &["engine-docker"]),
    ("mock-api", &["coordinator"]),
    ("clap", &["cli", "coordinator"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["cli"]),
    ("dotenvy", &["coordinator"]),
    ("prometheus-client", &["observe"]),
    ("opentelemetry", &["observe"]),
    ("jsonschema", &["agent-template"]),
    ("regress", &["agent-template"]),
    ("serde-saphyr", &["toolsmith"]),
    ("flate2", &["agent-image", "api", "gateway", "toolsmith"]),
];

/// Returns the names in `[dependencies]` of a crate, without those of tests.
fn dependencies(package: &str) -> Vec<String> {
    dependencies_in(&format!("crates/{package}"))
}

fn dependencies_in(directory: &str) -> Vec<String> {
    let manifest = read(&format!("{directory}/Cargo.toml"));
    let Some((_, rest)) = manifest.split_once("\n[dependencies]\n") else { return Vec::new() };
    let section = rest.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn arrows_point_down() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    for package in packages() {
        let own = layer(&package).unwrap_or_else(|| panic!("{package} has no place in the table"));
        for used in dependencies(&package) {
            let Some(below) = layer(&used) else { continue };
            assert!(below > own, "{package} uses {used}, which is not below it");
        }
    }
}

#[test]
fn a_library_has_its_owner() {
    for (library, owners) in OWNERS {
        let users: Vec<String> =
            packages().into_iter().filter(|package| dependencies(package).iter().any(|name| name == library)).collect();
        assert_eq!(users.iter().map(String::as_str).collect::<Vec<_>>(), *owners, "{library}");
    }
}

#[test]
fn the_mock_servers_know_nothing_of_the_product() {
    let used = dependencies_in("mock-api");
    assert!(used.contains(&"axum".to_owned()), "{used:?}");
    let ours = packages();
    assert!(used.iter().all(|name| !ours.contains(name)), "mock-api uses one of the product's crates: {used:?}");
}

#[test]
fn pure_crates_have_few_dependencies() {
    assert_eq!(dependencies("claude-stream"), ["serde", "serde_json"]);
    assert_eq!(dependencies("sandbox-link"), ["bytes", "thiserror"]);
    for library in ["tokio", "reqwest", "hyper", "futures", "tracing"] {
        assert!(!dependencies("domain").iter().any(|name| name == library), "domain uses {library}");
    }
}
