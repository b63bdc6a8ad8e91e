//! The environment for following a guide: a clone in which scripts/setup has run, and settings that isolate it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use mock_api::scripted_model::DEFAULT_KEY;
use tempfile::TempDir;

use crate::docs::root;
use crate::support::{environment, orphans};

/// The files of a clone that readers use. The programs are below `target/quick`, as scripts/setup leaves them.
const FILES: [&str; 7] =
    ["agent", "clients", "docs", "scripts/run", "scripts/lib.sh", "tests/it/tools/acme.har", ".env.example"];
const PROGRAMS: [&str; 2] = ["claude-runner", "acme-api"];

/// Settings of other tests that a reader does not have: guides work without them.
const NOT_A_READERS: [&str; 5] = ["ANTHROPIC_API_KEY", "DATA_DIR", "MAX_SANDBOXES", "RUNTIME_DIR", "WARM_SANDBOXES"];

/// The credential on the pages.
const CREDENTIAL: &str = "sk-ant-…";

/// Build outputs that are not copied into a clone.
const BUILT: [&str; 5] = ["node_modules", "dist", "build", "__pycache__", ".venv"];

/// Ports on pages, each replaced by a free one: the ports of the server, the Acme API and a reader's program.
const PORTS: [&str; 3] = ["3456", "3457", "8080"];

pub(super) struct Place {
    /// The environment of servers. The reader's shell has the real home, where npm and pip are configured.
    pub(super) environment: BTreeMap<String, String>,
    directory: TempDir,
    ports: Vec<u16>,
    /// The address of the API that accepts the reader's credential.
    model_api: Option<String>,
}

impl Place {
    /// `model_api` is the address of the API that accepts the reader's credential.
    pub(super) fn new(model_api: Option<String>) -> Self {
        let directory = environment::directory("crg-");
        let ports = free_ports(PORTS.len());
        let path = |name: &str| directory.path().join(name);
        for name in FILES {
            copy(&root().join(name), &path("clone").join(name));
        }
        std::fs::create_dir(path("home")).unwrap();
        std::fs::write(path("clone/scripts/setup"), "#!/bin/sh\n# Its outputs already exist.\n").unwrap();
        std::fs::set_permissions(path("clone/scripts/setup"), PermissionsExt::from_mode(0o755)).unwrap();
        // scripts/setup and scripts/build leave the programs there.
        for build in ["clone/target/quick", "clone/target/release"] {
            std::fs::create_dir_all(path(build)).unwrap();
            for name in PROGRAMS {
                symlink(program(name), path(build).join(name)).unwrap();
            }
        }
        let mut environment: BTreeMap<String, String> =
            std::env::vars().filter(|(name, _)| !is_setting(name)).collect();
        environment.extend(environment::of(directory.path(), ports[0]));
        environment.retain(|name, _| !NOT_A_READERS.contains(&name.as_str()));
        environment.extend(
            [
                ("CLAUDE_RUNNER_URL", format!("http://127.0.0.1:{}", ports[0])),
                ("MOCK_API_PORT", ports[1].to_string()),
                // Installed packages are not requested again.
                ("npm_config_prefer_offline", "true".to_owned()),
                ("npm_config_audit", "false".to_owned()),
                ("npm_config_fund", "false".to_owned()),
                ("npm_config_update_notifier", "false".to_owned()),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Place { environment, directory, ports, model_api }
    }

    /// Returns the directory in which the reader's terminals open.
    pub(super) fn clone_directory(&self) -> PathBuf {
        self.directory.path().join("clone")
    }

    /// Returns the path of a test file beside the clone.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the page's ports and its credential with the reader's.
    pub(super) fn localised(&self, text: &str) -> String {
        let ports = PORTS.iter().zip(&self.ports);
        let text = match &self.model_api {
            Some(address) => text.replace(CREDENTIAL, &format!("{DEFAULT_KEY}\nANTHROPIC_BASE_URL={address}")),
            None => text.to_owned(),
        };
        ports.fold(text, |text, (name, port)| replace_number(&text, name, &port.to_string()))
    }
}

impl Drop for Place {
    /// Removes the sessions' containers and volumes, which would outlive their server.
    fn drop(&mut self) {
        // Each guide has a DATA_DIR of its own.
        for entry in std::fs::read_dir(self.clone_directory()).into_iter().flatten().flatten() {
            if let Ok(instance) = std::fs::read_to_string(entry.path().join("instance")) {
                orphans::remove(orphans::labels_of(&instance), None);
            }
        }
    }
}

/// Returns true for variables that would change a reader's programs: the server's settings, credentials, the build
/// directory.
fn is_setting(name: &str) -> bool {
    let of_others = [
        "ANTHROPIC_",
        "CLAUDE_",
        "DATA_DIR",
        "SCRIPTED",
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
