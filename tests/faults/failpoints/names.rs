//! Checks that the cases cover every failpoint of the source, and that a release contains none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cases::{AT_THE_END, ON_THE_WAY};

/// Returns the names in the table.
fn killed_at() -> BTreeSet<String> {
    let deaths = ON_THE_WAY.iter().chain(AT_THE_END).flat_map(|case| case.deaths);
    deaths.flat_map(|death| death.split('>')).map(str::to_owned).collect()
}

/// Returns the names in the source, in the order of the files. Each name occurs at one place.
fn in_the_source(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(in_the_source(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("failpoint!(\"").skip(1).filter_map(|call| call.split('"').next());
            names.extend(calls.map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_failpoint_has_a_case() {
    let mut places = in_the_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    places.sort();
    assert_eq!(places, Vec::from_iter(killed_at()));
}

/// The program that `scripts/setup` builds, or FAULTS_PROGRAM.
#[test]
fn a_release_has_no_failpoint() {
    let for_tests = Path::new(env!("CARGO_BIN_EXE_claude-runner"));
    let beside = for_tests.parent().unwrap().with_file_name("quick").join("claude-runner");
    let release = std::env::var_os("FAULTS_PROGRAM").map_or(beside, PathBuf::from);
    let names: BTreeSet<String> = killed_at().into_iter().chain(["FAILPOINT".to_owned()]).collect();
    assert_eq!(found_in(for_tests, &names), names);
    assert_eq!(found_in(&release, &names), BTreeSet::new());
}

fn found_in(program: &Path, names: &BTreeSet<String>) -> BTreeSet<String> {
    assert!(program.exists(), "{} is not there; scripts/setup builds it", program.display());
    let patterns = names.iter().flat_map(|name| ["-e", name]);
    let mut search = Command::new("grep");
    let output = search.args(["--text", "--only-matching", "--fixed-strings"]).args(patterns).arg(program);
    let output = String::from_utf8(output.output().unwrap().stdout).unwrap();
    output.lines().map(str::to_owned).collect()
}
