//! Words that may occur in few files, or in none.

use crate::sources::{Source, sources};

/// Asserts that each of `words` occurs only in files below `allowed`, and there at least once, because a rule about a missing word
/// is out of date.
#[track_caller]
fn only_in(words: &[&str], allowed: &[&str]) {
    only_in_of("", words, allowed);
}

/// Like [`only_in`], for the files below `place`.
#[track_caller]
fn only_in_of(place: &str, words: &[&str], allowed: &[&str]) {
    let sources: Vec<Source> = sources().into_iter().filter(|source| source.path.starts_with(place)).collect();
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

/// Asserts that none of `words` occurs below `place`.
#[track_caller]
fn never_in(place: &str, words: &[&str]) {
    let sources: Vec<Source> = sources().into_iter().filter(|source| source.path.starts_with(place)).collect();
    assert!(!sources.is_empty(), "{place} has no source files");
    for source in sources {
        for word in words {
            assert!(!source.code.contains(word), "{word} is in {}", source.path);
        }
    }
}

#[test]
fn one_place_makes_error_responses() {
    only_in(&["IntoResponse for"], &["crates/api/src/error.rs", "mock-api/src"]);
}

#[test]
fn the_environment_is_read_in_few_places() {
    only_in(
        &["env::var"],
        &[
            "crates/coordinator/src/config",
            // `--env NAME` passes on the value of that variable.
            "crates/cli/src/task.rs",
            // Failpoints exist only in test builds.
            "crates/failpoint/src/lib.rs",
            // PID 1 of a sandbox.
            "crates/sandbox-init/src/settings.rs",
        ],
    );
    only_in(&["home_dir"], &["crates/coordinator/src/config"]);
    only_in(&["dotenvy::"], &["crates/coordinator/src/config/dotenv.rs"]);
    only_in(&["set_var", "from_default_env"], &[]);
}

#[test]
fn a_program_without_traces_is_the_same_but_for_one_file() {
    let place = "crates/observe/src/telemetry";
    only_in(&["opentelemetry"], &[&format!("{place}/otlp.rs"), &format!("{place}/client.rs")]);
    only_in(&["feature = \"otel\""], &[&format!("{place}.rs"), "crates/coordinator/src/config/traces.rs"]);
}

#[test]
fn what_is_pure_waits_for_nothing() {
    for place in [
        "crates/domain/src",
        "crates/claude-stream/src",
        "crates/sandbox-link/src",
        "crates/sessions/src/session/state.rs",
        "crates/sessions/src/session/queue.rs",
        "crates/sandbox/src/capacity/ledger.rs",
        "crates/sessions/src/session/narrator.rs",
        "crates/agent-template/src/output.rs",
        "crates/gateway/src/budget/ledger.rs",
    ] {
        never_in(
            place,
            &[".await", "async fn", "tokio", "std::fs", "std::net::Tcp", "std::time::Instant", "Timestamp::now"],
        );
    }
}

#[test]
fn one_loop_feeds_a_session() {
    // The parts of the loop have their own methods.
    let loop_words = ["impl Worker", "requests.recv()", "agent.listen()"];
    only_in_of("crates/sessions", &loop_words, &["crates/sessions/src/session/worker.rs"]);
}

#[test]
fn spawned_work_is_tracked_and_channels_are_bounded() {
    only_in(&["tokio::spawn", "unbounded_channel", "UnboundedSender", "#[allow("], &[]);
}

#[test]
fn no_file_is_long() {
    for source in sources() {
        assert!(source.lines <= 400, "{} has {} lines: what is its second subject?", source.path, source.lines);
    }
}
