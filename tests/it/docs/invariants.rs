//! The invariants of ARCHITECTURE.md that a search of the text can check.

use super::sources::{Source, read, sources};

const COORDINATOR: &str = "crates/coordinator/src";

/// Each of `words` occurs in files below `allowed` only, and there at least once: a rule about something that is nowhere
/// is out of date.
#[track_caller]
fn only_in(words: &[&str], allowed: &[&str]) {
    let sources = sources();
    for word in words {
        let (inside, outside): (Vec<&Source>, Vec<&Source>) = sources
            .iter()
            .filter(|source| source.code.contains(word))
            .partition(|source| allowed.iter().any(|place| source.path.starts_with(place)));
        let outside: Vec<&String> = outside.iter().map(|source| &source.path).collect();
        assert!(outside.is_empty(), "{word} is in {outside:?}");
        assert!(allowed.is_empty() || !inside.is_empty(), "{word} is nowhere in {allowed:?}");
    }
}

/// None of `words` occurs below `place`.
#[track_caller]
fn never_in(place: &str, words: &[&str]) {
    let sources: Vec<Source> = sources().into_iter().filter(|source| source.path.starts_with(place)).collect();
    assert!(!sources.is_empty(), "there is nothing at {place}");
    for source in sources {
        for word in words {
            assert!(!source.code.contains(word), "{word} is in {}", source.path);
        }
    }
}

/// `crate::MODULE` for modules of the coordinator.
fn modules(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("crate::{name}")).collect()
}

/// Neither `MODULE.rs` nor anything in `MODULE/` names one of `others`.
#[track_caller]
fn does_not_know(module: &str, others: &[&str]) {
    let others = modules(others);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    never_in(&format!("{COORDINATOR}/{module}"), &others);
}

#[test]
fn one_crate_talks_to_the_container_runtime() {
    only_in(&["bollard::"], &["crates/container-engine/src/docker"]);
}

#[test]
fn http_serving_stays_at_the_edge() {
    only_in(&["axum::"], &["crates/coordinator/src/http", "mock-api/src"]);
    only_in(&["IntoResponse for"], &["crates/coordinator/src/http/error.rs", "mock-api/src"]);
}

#[test]
fn settings_are_read_in_few_places() {
    only_in(
        &["env::var"],
        &[
            "crates/coordinator/src/config",
            "crates/coordinator/src/cli/task.rs",
            "crates/coordinator/src/failpoint.rs",
            "crates/container-engine/src/docker.rs",
            "crates/sandbox-init/src/settings.rs",
        ],
    );
    only_in(&["dotenvy::"], &["crates/coordinator/src/config.rs"]);
    only_in(&["set_var"], &[]);
}

#[test]
fn the_database_is_the_stores_own() {
    only_in(&["rusqlite::"], &["crates/coordinator/src/store", "crates/coordinator/src/access/store.rs"]);
}

#[test]
fn a_program_without_traces_is_the_same_but_for_one_file() {
    let place = "crates/coordinator/src/telemetry";
    only_in(&["opentelemetry"], &[&format!("{place}/otlp.rs"), &format!("{place}/client.rs")]);
    only_in(&["feature = "], &[&format!("{place}.rs")]);
}

#[test]
fn the_agents_own_types_end_at_the_narrator() {
    only_in(&["claude_stream::"], &["crates/coordinator/src/sandbox", "crates/coordinator/src/session"]);
    never_in("crates/coordinator/src/event.rs", &["claude_stream"]);
}

#[test]
fn dependencies_point_one_way() {
    does_not_know("registry", &["http", "cli"]);
    does_not_know("session", &["http", "registry", "cli", "link"]);
    does_not_know("sandbox", &["http", "registry", "store", "cli", "config"]);
    does_not_know("store", &["http", "registry", "sandbox", "gateway", "link", "cli", "config"]);
    does_not_know("budget", &["http", "registry", "sandbox", "gateway", "link", "cli", "config"]);
    does_not_know("gateway", &["http", "registry", "session", "store", "sandbox", "link", "cli", "config"]);
    does_not_know("link", &["http", "registry", "session", "store", "sandbox", "gateway", "cli", "config"]);
    only_in(&["crate::http"], &["crates/coordinator/src/cli"]);
}

#[test]
fn what_is_pure_waits_for_nothing() {
    for place in [
        "crates/claude-stream/src",
        "crates/sandbox-link/src",
        "crates/coordinator/src/session/state.rs",
        "crates/coordinator/src/session/queue.rs",
        "crates/coordinator/src/sandbox/capacity/ledger.rs",
        "crates/coordinator/src/session/narrator.rs",
        "crates/coordinator/src/event.rs",
        "crates/coordinator/src/output.rs",
        "crates/coordinator/src/budget/ledger.rs",
        "crates/coordinator/src/usage.rs",
    ] {
        never_in(
            place,
            &[".await", "async fn", "tokio", "std::fs", "std::net", "std::time::Instant", "Timestamp::now"],
        );
    }
}

#[test]
fn one_loop_feeds_a_session() {
    only_in(&["messages.recv()", "sandbox.process.recv()"], &["crates/coordinator/src/session/worker.rs"]);
}

#[test]
fn spawned_work_is_tracked_and_channels_are_bounded() {
    only_in(&["tokio::spawn", "unbounded_channel", "UnboundedSender", "#[allow("], &[]);
}

/// By their Cargo.toml.
#[test]
fn leaves_have_few_dependencies() {
    let dependencies = |member: &str| -> Vec<String> {
        let manifest = read(&format!("crates/{member}/Cargo.toml"));
        let section = manifest.split_once("\n[dependencies]\n").unwrap().1.split("\n[").next().unwrap().to_owned();
        let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(dependencies("claude-stream"), ["serde", "serde_json"]);
    assert_eq!(dependencies("sandbox-link"), ["bytes", "thiserror"]);
}

#[test]
fn no_file_is_long() {
    for source in sources() {
        assert!(source.lines <= 400, "{} has {} lines: what is its second subject?", source.path, source.lines);
    }
}
