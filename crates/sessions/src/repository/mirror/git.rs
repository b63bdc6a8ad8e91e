//! The `git` of this machine, isolated: it reads no configuration of the machine, of the user or of a repository, runs
//! no hook, uses no stored credential, and speaks no other protocol.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::repository::RepositoryName;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};

use super::MirrorError;

/// Since 2.31 git reads settings from the environment, which other users cannot read as they can read a command line.
/// Since 2.32 it can combine small packs and leave a large one alone.
const OLDEST: (u32, u32) = (2, 32);

/// The size of the end of git's output that is kept.
const SAID_BYTES: usize = 2048;

/// Runs git with a memory limit: a small pack can be made to become very large. The limit is far above the need of a
/// repository of some gigabytes. A system without such a limit runs git without it.
const BOUNDED: &str = r#"ulimit -v 4194304 2>/dev/null; exec git "$@""#;

const SETTINGS: [(&str, &str); 20] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.file.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    // Five minutes without a byte.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "300"),
    ("fetch.recurseSubmodules", "false"),
    // A fetch becomes one pack, never thousands of files.
    ("fetch.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // These fit below the memory limit.
    ("pack.windowMemory", "64m"),
    ("core.packedGitLimit", "512m"),
    ("core.packedGitWindowSize", "32m"),
    ("core.bigFileThreshold", "32m"),
];

/// The git of this machine.
#[derive(Clone, Debug)]
pub struct Git {
    environment: Vec<(&'static str, OsString)>,
    pub version: String,
}

/// A repository at the forge, and the credential for it.
pub(super) struct Remote {
    url: String,
    header: SecretString,
}

impl Remote {
    pub(super) fn new(forge: &Url, name: &RepositoryName, token: &SecretString) -> Self {
        let url = format!("{}/{name}.git", forge.as_str().trim_end_matches('/'));
        let pair = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
        Remote { url, header: format!("Authorization: Basic {pair}").into() }
    }
}

impl Git {
    /// `environment`: the only variables of the coordinator that git gets. `None`: git is missing or too old.
    pub async fn find(environment: Vec<(&'static str, OsString)>) -> Option<Git> {
        let mut command = Command::new("git");
        command.arg("--version").env_clear().envs(environment.clone()).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("git version ").to_owned();
        let new_enough = version_of(&version).is_some_and(|version| version >= OLDEST);
        (output.status.success() && new_enough).then_some(Git { environment, version })
    }

    pub(super) async fn init(&self, directory: &Path) -> Result<(), MirrorError> {
        self.run(directory, &["init", "--quiet", "--bare", "--template=", "--initial-branch=main"], None).await
    }

    pub(super) async fn fetch(&self, directory: &Path, remote: &Remote) -> Result<(), MirrorError> {
        let arguments = [
            "fetch",
            "--quiet",
            "--force",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--end-of-options",
            &remote.url,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        ];
        self.run(directory, &arguments, Some(remote)).await
    }

    /// Combines packs until each is at least as large as all smaller ones together.
    pub(super) async fn repack(&self, directory: &Path) -> Result<(), MirrorError> {
        self.run(directory, &["repack", "--geometric=2", "-d", "-q"], None).await
    }

    /// Combines all refs into one file.
    pub(super) async fn pack_refs(&self, directory: &Path) -> Result<(), MirrorError> {
        self.run(directory, &["pack-refs", "--all", "--prune"], None).await
    }

    async fn run(&self, directory: &Path, arguments: &[&str], remote: Option<&Remote>) -> Result<(), MirrorError> {
        let failed = |error| MirrorError::Run(Arc::new(error));
        let mut child = self.command(directory, arguments, remote).spawn().map_err(failed)?;
        let mut group = Group::of(child.id());
        let said = tail(child.stderr.take()).await;
        let status: ExitStatus = child.wait().await.map_err(failed)?;
        group.ended();
        if status.success() {
            return Ok(());
        }
        let command = arguments.first().copied().unwrap_or_default().to_owned();
        Err(MirrorError::Git { command, said: if said.is_empty() { status.to_string() } else { said } })
    }

    fn command(&self, directory: &Path, arguments: &[&str], remote: Option<&Remote>) -> Command {
        let mut command = Command::new("/bin/sh");
        // Named explicitly, so that git does not check the owner of the directory.
        command.args(["-c", BOUNDED, "git", "--git-dir"]).arg(directory).args(arguments).current_dir("/");
        command.env_clear().envs(self.environment.clone());
        for (name, value) in [
            // A directory without .netrc.
            ("HOME", "/dev/null"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ] {
            command.env(name, value);
        }
        let mut settings: Vec<(String, &str)> =
            SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        if let Some(remote) = remote {
            // The header applies to this address and the paths below it. Redirects are not followed.
            settings.push((format!("http.{}.extraHeader", remote.url), remote.header.expose_secret()));
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// Git and the programs that it started. They end together when the future is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Group(leader.map(|id| Pid::from_raw(id.cast_signed())))
    }

    /// The process id may belong to another process from now on.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // The group may have ended already.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// Reads to the end and keeps the last bytes.
async fn tail(stderr: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    if let Some(mut stderr) = stderr {
        let mut piece = [0; SAID_BYTES];
        while let Ok(length @ 1..) = stderr.read(&mut piece).await {
            said.extend_from_slice(&piece[..length]);
            said.drain(..said.len().saturating_sub(SAID_BYTES));
        }
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Parses `2.47.3`, with the suffix of some builds.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version_of("2.47.3"), Some((2, 47)));
        assert_eq!(version_of("2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert!(version_of("2.9.1") < version_of("2.31.0"));
        assert_eq!(version_of("not found"), None);
    }
}
