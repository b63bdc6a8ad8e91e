//! The environment for following a guide: a clone in which scripts/setup has run, and settings that isolate it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::docs::root;
use crate::support::{environment, leftovers};

/// The files of a clone that readers use. The programs are below `target/quick`, as scripts/setup leaves them.
const FILES: [&str; 7] =
    ["agent", "clients", "docs", "scripts/run", "scripts/lib.sh", "tests/it/tools/acme.har", ".env.example"];
const PROGRAMS: [&str; 3] = ["claude-runner", "acme-api", "scripted-model"];

/// Build outputs that are not copied into a clone.
const BUILT: [&str; 5] = ["node_modules", "dist", "build", "__pycache__", ".venv"];

/// Ports on pages, each replaced by a free one: the ports of the server, the Acme API and a reader's program.
const PORTS: [&str; 3] = ["3456", "3457", "8080"];

pub(super) struct Place {
    /// The environment of servers. The reader's shell has the real home, where npm and pip are configured.
    pub(super) environment: BTreeMap<String, String>,
    directory: TempDir,
    ports: Vec<u16>,
}

impl Place {
    pub(super) fn new() -> Self {
        let directory = environment::directory("crg-");
        let ports = free_ports(PORTS.len());
        let path = |name: &str| directory.path().join(name);
        for name in FILES {
            copy(&root().join(name), &path("clone").join(name));
        }
        std::fs::create_dir(path("home")).unwrap();
        std::fs::write(path("clone/scripts/setup"), "#!/bin/sh\n# What it makes is there already.\n").unwrap();
        std::fs::set_permissions(path("clone/scripts/setup"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(path("clone/target/quick")).unwrap();
        for name in PROGRAMS {
            symlink(program(name), path("clone/target/quick").join(name)).unwrap();
        }
        let mut environment: BTreeMap<String, String> =
            std::env::vars().filter(|(name, _)| !is_setting(name)).collect();
        environment.extend(environment::of(directory.path(), ports[0]));
        let programs = path("clone/target/quick").display().to_string();
        environment.extend(
            [
                ("PATH", format!("{programs}:{}", environment["PATH"])),
                ("CLAUDE_RUNNER_URL", format!("http://127.0.0.1:{}", ports[0])),
                ("MOCK_API_PORT", ports[1].to_string()),
                ("SCRIPTED_MODEL_PORT", "0".to_owned()),
                ("DRAIN_TIMEOUT_MS", "1000".to_owned()),
                // Installed packages are not requested again.
                ("npm_config_prefer_offline", "true".to_owned()),
                ("npm_config_audit", "false".to_owned()),
                ("npm_config_fund", "false".to_owned()),
                ("npm_config_update_notifier", "false".to_owned()),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Place { environment, directory, ports }
    }

    /// Returns the directory in which the reader's terminals open.
    pub(super) fn clone_directory(&self) -> PathBuf {
        self.directory.path().join("clone")
    }

    /// Returns the path of a test file beside the clone.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the page's ports with the reader's.
    pub(super) fn localised(&self, text: &str) -> String {
        let ports = PORTS.iter().zip(&self.ports);
        ports.fold(text.to_owned(), |text, (name, port)| replace_number(&text, name, &port.to_string()))
    }
}

impl Drop for Place {
    /// Removes the sessions' containers and volumes, which would outlive their server.
    fn drop(&mut self) {
        leftovers::sweep(leftovers::labels(self.directory.path()), None);
    }
}

/// Returns true for variables that would change a reader's programs: the server's settings, credentials, the build
/// directory.
fn is_setting(name: &str) -> bool {
    let of_others = [
        "ANTHROPIC_",
        "CLAUDE_",
        "CARGO_TARGET_DIR",
        "GITHUB_",
        "MOCK_API_",
        "API_KEYS",
        "AGENT_DIR",
        "WEBHOOK_",
        "OTEL_",
    ];
    of_others.iter().any(|beginning| name.starts_with(beginning))
}

/// Returns free ports below the kernel's ephemeral range. Each process starts its search at another port.
fn free_ports(count: usize) -> Vec<u16> {
    let begin = 10_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 16;
    let free = (begin..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.take(count).collect()
}

fn program(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_claude-runner"));
    let builds = [ours.parent().unwrap().to_owned(), ours.ancestors().nth(2).unwrap().join("quick")];
    let found = builds.iter().map(|build| build.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not built: cargo build -p mock-api --bins"))
}

/// Copies everything except build outputs.
pub(super) fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            if !BUILT.iter().any(|built| name == *built) {
                copy(&from.join(&name), &to.join(&name));
            }
        }
    } else {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// Replaces a number that is not part of a longer one.
fn replace_number(text: &str, number: &str, with: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(number) {
        replaced.push_str(before);
        let is_part = before.ends_with(|c: char| c.is_ascii_alphanumeric())
            || after.starts_with(|c: char| c.is_ascii_alphanumeric());
        replaced.push_str(if is_part { number } else { with });
        rest = after;
    }
    replaced + rest
}

#[test]
fn a_port_is_a_whole_number() {
    assert_eq!(replace_number("a:3456/ 13456 34567 3456", "3456", "1"), "a:1/ 13456 34567 1");
}
