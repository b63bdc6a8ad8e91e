//! The attempts and their results, for the table of `scripts/hostile`.

use std::path::Path;

use serde::Serialize;

/// One attempt of an attacker.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "a column of the table")]
pub(crate) struct Attempt {
    /// The kind of control that is attacked, in one or two words.
    pub(crate) class: String,
    /// The attempt.
    pub(crate) attempt: String,
    /// The result, in a line.
    pub(crate) got: String,
    /// The attacker obtained something outside its sandbox.
    pub(crate) succeeded: bool,
}

/// Writes the attempts to `NAME.json` in the directory HOSTILE_REPORT if that is set, then panics if one succeeded.
#[track_caller]
pub(crate) fn report(name: &str, attempts: &[Attempt]) {
    if let Some(directory) = std::env::var_os("HOSTILE_REPORT") {
        std::fs::create_dir_all(&directory).unwrap();
        let path = Path::new(&directory).join(format!("{name}.json"));
        std::fs::write(path, serde_json::to_vec_pretty(attempts).unwrap()).unwrap();
    }
    assert_none_succeeded(name, attempts);
}

#[track_caller]
fn assert_none_succeeded(name: &str, attempts: &[Attempt]) {
    let successes: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.succeeded).collect();
    assert!(!attempts.is_empty(), "{name}: nothing was tried");
    assert!(successes.is_empty(), "{name}: {} of {} succeeded: {successes:#?}", successes.len(), attempts.len());
}

fn attempt(succeeded: bool) -> Attempt {
    Attempt { class: "test".to_owned(), attempt: "try".to_owned(), got: "nothing".to_owned(), succeeded }
}

#[test]
fn a_failed_attempt_is_no_failure() {
    assert_none_succeeded("test", &[attempt(false)]);
}

#[test]
#[should_panic(expected = "1 of 2 succeeded")]
fn a_successful_attempt_is_a_failure() {
    assert_none_succeeded("test", &[attempt(false), attempt(true)]);
}

#[test]
#[should_panic(expected = "nothing was tried")]
fn no_attempt_is_a_failure() {
    assert_none_succeeded("test", &[]);
}
