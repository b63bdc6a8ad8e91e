//! Bare repositories that git itself creates from a list of files.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The content of a new repository.
#[derive(Clone, Debug)]
pub struct Seed {
    pub description: String,
    pub default_branch: String,
    pub private: bool,
    pub archived: bool,
    pub entries: Vec<SeedEntry>,
}

impl Seed {
    /// A private repository with plain files and the default branch `main`.
    pub fn new(description: &str, files: &[(&str, &str)]) -> Self {
        let entries = files.iter().map(|(path, content)| SeedEntry::file(path, content)).collect();
        let [description, default_branch] = [description, "main"].map(str::to_owned);
        Seed { description, default_branch, private: true, archived: false, entries }
    }

    #[must_use]
    pub fn with(mut self, entry: SeedEntry) -> Self {
        self.entries.push(entry);
        self
    }
}

/// One entry of a tree.
#[derive(Clone, Debug)]
pub enum SeedEntry {
    File {
        path: String,
        content: Vec<u8>,
        executable: bool,
    },
    Symlink {
        path: String,
        target: String,
    },
    /// The commit of a submodule. `.gitmodules` is a separate file.
    Submodule {
        path: String,
        commit: String,
    },
}

impl SeedEntry {
    pub fn file(path: &str, content: &str) -> Self {
        SeedEntry::File { path: path.to_owned(), content: content.into(), executable: false }
    }

    pub fn program(path: &str, content: &str) -> Self {
        SeedEntry::File { path: path.to_owned(), content: content.into(), executable: true }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    #[error("could not run git")]
    Run(#[from] std::io::Error),
    #[error("git {command} failed: {message}")]
    Git { command: String, message: String },
}

/// Creates the repository with one commit. Returns the commit.
pub(super) async fn create(path: &Path, seed: &Seed) -> Result<String, RepositoryError> {
    tokio::fs::create_dir_all(path).await?;
    let branch = &seed.default_branch;
    git(path, &["init", "--quiet", "--bare", &format!("--initial-branch={branch}")], Vec::new()).await?;
    // GitHub has these settings: a client may request any commit, and a part of the objects.
    for (name, value) in
        [("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true"), ("http.receivepack", "true")]
    {
        git(path, &["config", name, value], Vec::new()).await?;
    }
    git(path, &["fast-import", "--quiet"], import_stream(seed)).await?;
    let commit = git(path, &["rev-parse", &format!("refs/heads/{branch}")], Vec::new()).await?;
    Ok(commit.trim().to_owned())
}

/// The commit in the format of `git fast-import`.
fn import_stream(seed: &Seed) -> Vec<u8> {
    const MESSAGE: &str = "Begin";
    let mut stream = format!(
        "commit refs/heads/{}\ncommitter Acme <dev@acme.test> 1700000000 +0000\ndata {}\n{MESSAGE}\n",
        seed.default_branch,
        MESSAGE.len(),
    )
    .into_bytes();
    let mut blob = |mode: &str, path: &str, content: &[u8]| {
        stream.extend(format!("M {mode} inline {path}\ndata {}\n", content.len()).into_bytes());
        stream.extend_from_slice(content);
        stream.push(b'\n');
    };
    let mut commits = String::new();
    for entry in &seed.entries {
        match entry {
            SeedEntry::File { path, content, executable } => {
                blob(if *executable { "100755" } else { "100644" }, path, content);
            }
            SeedEntry::Symlink { path, target } => blob("120000", path, target.as_bytes()),
            SeedEntry::Submodule { path, commit } => {
                let _ = writeln!(commits, "M 160000 {commit} {path}");
            }
        }
    }
    stream.extend(commits.into_bytes());
    stream
}

/// Runs git in the repository, without the settings of the user who runs the tests.
pub(super) async fn git(directory: &Path, arguments: &[&str], input: Vec<u8>) -> Result<String, RepositoryError> {
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&input).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(RepositoryError::Git { command: arguments.join(" "), message });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
