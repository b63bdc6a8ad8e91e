//! A forge and mirrors of its repositories.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use forge::{GitHub, GitHubCredential, GitHubSettings};
use futures::StreamExt as _;
use mock_api::forge::{Fault, Forge, Seed, SeedEntry, Token};
use network_access::NetworkAccess;
use reqwest::{Method, StatusCode};
use sessions::repository::{Git, MirrorCopy, MirrorError, MirrorSettings, Mirrors};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) const TOKEN: &str = "ghp_only_in_the_environment";

/// The limit exceeds the size of all repositories of a test.
pub(super) const LARGE: u64 = 1 << 30;

pub(super) struct World {
    pub(super) forge: Forge,
    pub(super) mirrors: Mirrors,
    max_bytes: u64,
    directory: TempDir,
}

impl World {
    pub(super) async fn start(max_bytes: u64) -> World {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let forge = Forge::serve(listener, directory.path().join("forge"), vec![Token::full(TOKEN, "dev")]).unwrap();
        // A wrapper around git that records its arguments and environment.
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let told = directory.path().join("told");
        let script = format!(
            "#!/bin/sh\n{{ echo \"arguments: $*\"; echo \"memory: $(ulimit -v)\"; env; }} >> {}\nPATH=${{PATH#*:}} exec git \"$@\"\n",
            told.display()
        );
        fs::write(bin.join("git"), script).unwrap();
        fs::set_permissions(bin.join("git"), PermissionsExt::from_mode(0o755)).unwrap();
        let mirrors = mirrors(&forge, directory.path(), max_bytes).await;
        World { forge, mirrors, max_bytes, directory }
    }

    /// Starts a new coordinator on the same disk and forge.
    pub(super) async fn start_again(self) -> World {
        let mirrors = mirrors(&self.forge, self.directory.path(), self.max_bytes).await;
        World { mirrors, ..self }
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Creates a repository with a file `a` and an incompressible file of `bytes` bytes.
    pub(super) async fn repository(&self, name: &str, bytes: usize) {
        let large = SeedEntry::File { path: "large".to_owned(), content: noise(bytes), executable: false };
        self.forge.create_repository(name, &Seed::new("", &[("a", "1\n")]).with(large)).await.unwrap();
    }

    pub(super) async fn update(&self, name: &str) -> Result<MirrorCopy, MirrorError> {
        self.mirrors.update(&name.parse().unwrap(), 0).await
    }

    /// Returns the mirror's path.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let forge = fs::read_dir(self.directory().join("mirrors")).unwrap().next().unwrap().unwrap().path();
        forge.join(format!("{name}.git"))
    }

    /// Returns the mirror's packs with their sizes.
    pub(super) fn packs(&self, name: &str) -> Vec<(String, u64)> {
        let files = fs::read_dir(self.place(name).join("objects/pack")).unwrap().map(Result::unwrap);
        let packs = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "pack"));
        packs.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len())).collect()
    }

    /// Runs a script in a fresh clone.
    pub(super) fn change(&self, name: &str, script: &str) {
        let clone = tempfile::tempdir_in(self.directory()).unwrap();
        let url = self.forge.url().replace("://", &format!("://x:{TOKEN}@"));
        shell(&format!("git clone -q {url}/{name}.git . && {{ {script}; }}"), clone.path());
    }

    /// Returns all refs of the forge.
    pub(super) fn refs(&self, name: &str) -> String {
        shell("git for-each-ref --format='%(objectname) %(refname)'", &self.forge.repository_path(name))
    }

    /// Returns all refs of a complete clone of an up-to-date mirror's copy.
    pub(super) async fn refs_of_a_clone(&self, name: &str) -> String {
        let place = tempfile::tempdir_in(self.directory()).unwrap();
        tar::Archive::new(&self.copy(name).await[..]).unpack(place.path()).unwrap();
        let script = "git clone -q --mirror m.git c 2>/dev/null && cd c && git -c fsck.gitmodulesUrl=ignore fsck --no-dangling 2>&1 && \
                      git for-each-ref --format='%(objectname) %(refname)'";
        shell(script, place.path())
    }

    pub(super) async fn names_in_the_copy(&self, name: &str) -> Vec<String> {
        let copy = self.copy(name).await;
        let mut archive = tar::Archive::new(&copy[..]);
        let names = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (10_001, 10_001));
            entry.path().unwrap().to_str().unwrap().strip_prefix("m.git/").unwrap().to_owned()
        });
        names.collect()
    }

    async fn copy(&self, name: &str) -> Vec<u8> {
        let copy = self.update(name).await.unwrap_or_else(|error| panic!("{error:?}"));
        let (source, writer) = copy.archive("m.git", "main");
        let bytes = source.into_stream().fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece.unwrap());
            all
        });
        let bytes = bytes.await;
        writer.await.unwrap().unwrap();
        bytes
    }

    /// Returns everything that git got on its command line and in its environment.
    pub(super) fn told(&self) -> String {
        fs::read_to_string(self.directory().join("told")).unwrap()
    }

    /// Returns the number of the forge's requests of this kind.
    pub(super) fn calls(&self, path: &str, what: &str) -> usize {
        self.forge.calls().iter().filter(|call| call.contains(path) && call.contains(what)).count()
    }

    /// Makes the next `times` fetches fail.
    pub(super) fn fail(&self, status: StatusCode, times: u32) {
        let (path, message) = ("service=git-upload-pack".to_owned(), "as ordered".to_owned());
        self.forge.fail(Fault { method: Method::GET, path, status, message, retry_after: None, times });
    }
}

async fn mirrors(forge: &Forge, directory: &Path, max_bytes: u64) -> Mirrors {
    let settings = GitHubSettings {
        url: forge.url().parse().unwrap(),
        api_url: forge.api_url().parse().unwrap(),
        credential: GitHubCredential::Token(TOKEN.into()),
        network: NetworkAccess::default(),
    };
    let path: OsString = format!("{}:{}", directory.join("bin").display(), std::env::var("PATH").unwrap()).into();
    let git = Git::find(vec![("PATH", path)]).await.expect("git is needed");
    let mirror_settings = MirrorSettings { directory: directory.join("mirrors"), max_bytes };
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    Mirrors::new(git, GitHub::new(settings).unwrap(), mirror_settings, tracker, shutdown)
}

/// Returns incompressible bytes, the same each time.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Runs a script that must succeed, and returns its output.
fn shell(script: &str, directory: &Path) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(directory).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for name in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{name}_NAME"), "dev").env(format!("GIT_{name}_EMAIL"), "dev@acme.test");
    }
    let output = shell.output().unwrap();
    let [said, complaint] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{script}: {said}{complaint}");
    said
}
