//! The real `git`, which is told everything and finds nothing by itself: no configuration of the machine, of its user or of
//! a repository, no hook, no credential of anybody's, no other protocol.

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

/// Since 2.31 settings can be given by the environment, which not everybody can read as they can a command line; since 2.32
/// small packs can be put together and a large one left alone.
const OLDEST: (u32, u32) = (2, 32);

/// What is kept of git's words: the end of them.
const SAID_BYTES: usize = 2048;

/// Git with a bound on its memory: a repository can be made so that a small pack becomes very large. Far above what one of some
/// gigabytes takes; where the system knows no such bound there is none.
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
    // What comes is kept as one pack, never as thousands of files.
    ("fetch.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // So that all of it fits below the bound.
    ("pack.windowMemory", "64m"),
    ("core.packedGitLimit", "512m"),
    ("core.packedGitWindowSize", "32m"),
    ("core.bigFileThreshold", "32m"),
];

/// Git on this machine.
#[derive(Clone, Debug)]
pub struct Git {
    environment: Vec<(&'static str, OsString)>,
    pub version: String,
}

/// A repository at the forge, and what it takes to be let in.
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
    /// `environment` is all that git is given of the coordinator's. `None`: there is no git, or one that is too old.
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

    /// Packs become fewer: each is at least as large as all smaller ones together.
    pub(super) async fn repack(&self, directory: &Path) -> Result<(), MirrorError> {
        self.run(directory, &["repack", "--geometric=2", "-d", "-q"], None).await
    }

    /// All refs become one file.
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
        // Named outright, so that nobody has to look whose it is.
        command.args(["-c", BOUNDED, "git", "--git-dir"]).arg(directory).args(arguments).current_dir("/");
        command.env_clear().envs(self.environment.clone());
        for (name, value) in [
            // Where there is no .netrc.
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
            // For this address and those below it; redirects are not followed anyway.
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

/// Git and the programs that it started, ended together where nobody waits for them any more.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        Group(leader.map(|id| Pid::from_raw(id.cast_signed())))
    }

    /// Its number may belong to somebody else from here on.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// The end of what is said until there is no more.
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

/// `2.47.3`, and what some builds put behind it.
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
