//! Files as browsers, proxies and frameworks write them, each with oddities, and what their tools send.
//!
//! For each file of `corpus/`, `NAME.calls` has the commands to run. The snapshot has the report and what arrives at a
//! server. A line of `NAME.calls` is a command for bash in the tools' directory.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::{ANSWER, Server};
use crate::write::variables;
use crate::{Chosen, Collection, from_har, from_openapi, report, write};

fn corpus(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(kind);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.is_file() && path.extension().is_none_or(|ending| ending != "calls")).collect();
    files.sort();
    files
}

fn made(kind: &str, file: &Path) -> Collection {
    let bytes = std::fs::read(file).unwrap();
    let chosen = Chosen::default();
    let beside =
        |name: &str| std::fs::read(file.parent().unwrap().join(name)).map_err(|error| error.kind().to_string());
    let made = if kind == "har" { from_har(&bytes, &chosen) } else { from_openapi(&bytes, &chosen, &mut { beside }) };
    made.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The report, and for each command what arrived and what it printed.
fn course(kind: &str, file: &Path) -> String {
    let made = made(kind, file);
    let mut course = report(&made, "tools");
    let calls = std::fs::read_to_string(file.with_extension("calls")).unwrap_or_default();
    let directory = tempfile::tempdir().unwrap();
    for tool in &made.tools {
        let file = write(tool);
        let path = directory.path().join(file.name);
        std::fs::write(&path, file.text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::write(directory.path().join("photo.png"), b"\x89PNG\r\n\x00\xff").unwrap();
    let server = Server::start();
    for call in calls.lines().filter(|line| !line.is_empty()) {
        let mut command = Command::new("bash");
        command.args(["-c", call]).current_dir(directory.path());
        for variable in made.tools.iter().flat_map(variables) {
            let is_url = made.tools.iter().any(|tool| tool.api.url_variable() == variable);
            let value = if is_url { format!("http://{}", server.address) } else { format!("the {variable}") };
            command.env(variable, value);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let _ = write!(course, "\n$ {call}\n{}", server.arrived());
        if said != ANSWER {
            let _ = writeln!(course, "  prints {said:?}");
        }
    }
    course
}

fn check(kind: &str) {
    let files = corpus(kind);
    assert!(files.len() >= 20, "{}", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{kind}-snapshots")));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            insta::assert_snapshot!(name, course(kind, &file));
        }
    });
}

#[test]
fn recordings_become_tools_that_send_what_was_recorded() {
    check("har");
}

#[test]
fn documents_become_tools_that_send_what_they_describe() {
    check("openapi");
}
