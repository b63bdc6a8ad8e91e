//! The clone, made by git in the sandbox through the gateway. It runs nothing of the repository: no hooks, no filters
//! of LFS, and submodules only of the same owner, one level deep.

use domain::repository::Checkout;
use domain::sandbox::WORKSPACE;
use domain::task::{ErrorType, Failure};
use gateway::GIT_PREFIX;
use reqwest::Url;
use sandbox::{Finished, GATEWAY, LaunchError, Sandbox};
use tracing::warn;

use super::MirrorSource;
use super::from_mirror::{self, COPY};
use super::submodules::{self, Skipped, Submodule};

/// The size in kilobytes from which git fetches files of old commits only on use.
const LARGE: u64 = 100_000;

/// Git asks no questions, and leaves the pointers of LFS as they are.
pub(super) const QUIET: [(&str, &str); 2] = [("GIT_TERMINAL_PROMPT", "0"), ("GIT_LFS_SKIP_SMUDGE", "1")];

/// HTTP is the only protocol, whatever address a repository names. No hook runs.
const SAFE: [&str; 8] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",
    "-c",
    "protocol.http.allow=always",
    "-c",
    "protocol.https.allow=always",
];

/// Sets the committer and the forge's address: `$1` its own, `$2` the gateway's. Removes `$3` and `$4`, the remains
/// of an interrupted start.
const SET_UP: &str = r#"
git config --global user.name 'Claude Runner'
git config --global user.email 'claude-runner@users.noreply.github.com'
git config --global --replace-all "url.$2.insteadOf" "$1"
git config --global push.default current
git config --global advice.detachedHead false
rm -rf -- "$3" "$4"
"#;

/// Lists the paths of the commit's submodules. `sed` leaves out the other files, because the kept output is bounded.
const SUBMODULES: &str = r"git ls-files --stage | sed -n 's/^160000 [0-9a-f]* [0-9]\t//p'";

/// Counts the files whose content is in Git LFS.
const LFS_FILES: &str = "git ls-files ':(attr:filter=lfs)' | wc -l";

/// The largest number of sentences about what is not cloned.
const MAX_NOTICES: usize = 50;

/// The result of cloning: the submodules that remain to be cloned, and a sentence for each thing that is left out.
#[derive(Debug)]
pub(crate) struct Cloned {
    pub(crate) submodules: Vec<Submodule>,
    pub(crate) left_out: Vec<String>,
}

/// Clones the branch, from a mirror if there is one.
pub(crate) async fn clone(
    sandbox: &mut Sandbox,
    forge_url: &Url,
    checkout: &Checkout,
    mirror: Option<MirrorSource<'_>>,
) -> Result<Result<Cloned, Failure>, LaunchError> {
    let forge = forge_url.as_str().trim_end_matches('/');
    let directory = checkout.directory();
    let (from, to) = (format!("{forge}/"), format!("{GATEWAY}{GIT_PREFIX}/"));
    let finished = sandbox.run(WORKSPACE, "sh", &["-euc", SET_UP, "sh", &from, &to, &directory, COPY], &QUIET).await?;
    if !finished.succeeded() {
        return Ok(Err(failed(&finished)));
    }
    let url = format!("{forge}/{}.git", checkout.name);
    let cloned = match mirror {
        Some(mirror) => from_mirror::clone(mirror, sandbox, &url, checkout).await?,
        None => false,
    };
    if !cloned {
        let mut arguments = SAFE.to_vec();
        arguments.extend(["clone", "--quiet", "--branch", &checkout.branch]);
        if checkout.size >= LARGE {
            arguments.push("--filter=blob:none");
        }
        arguments.extend(["--", &url, &directory]);
        let finished = sandbox.run(WORKSPACE, "git", &arguments, &QUIET).await?;
        if !finished.succeeded() {
            return Ok(Err(failed(&finished)));
        }
    }
    let found = sandbox.run(&directory, "sh", &["-euc", SUBMODULES], &QUIET).await?;
    let paths: Vec<&str> = found.stdout.lines().collect();
    let list = ["config", "-z", "--blob", "HEAD:.gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$"];
    let finished = sandbox.run(&directory, "git", &list, &QUIET).await?;
    let (submodules, skipped) = submodules::sort(&paths, &finished.stdout, forge_url, &checkout.name);
    let mut left_out: Vec<String> = skipped.iter().map(Skipped::sentence).collect();
    let finished = sandbox.run(&directory, "sh", &["-euc", LFS_FILES], &QUIET).await?;
    if let Ok(files @ 1..) = finished.stdout.trim().parse::<u64>() {
        left_out.push(format!("Git LFS has the content of {files} files; the clone has only their pointers"));
    }
    left_out.truncate(MAX_NOTICES);
    Ok(Ok(Cloned { submodules, left_out }))
}

/// Clones submodules into the clone. Returns a sentence for each one that stays empty.
pub(crate) async fn add_submodules(
    sandbox: &mut Sandbox,
    forge: &Url,
    checkout: &Checkout,
    submodules: &[Submodule],
) -> Result<Vec<String>, LaunchError> {
    let (forge, directory) = (forge.as_str().trim_end_matches('/'), checkout.directory());
    let mut left_out = Vec::new();
    for Submodule { module, path, repository } in submodules {
        // git keeps an existing address: whatever `.gitmodules` says, the gateway serves this one.
        let (key, url) = (format!("submodule.{module}.url"), format!("{forge}/{repository}.git"));
        let set = ["config", &key, &url];
        let mut finished = sandbox.run(&directory, "git", &set, &QUIET).await?;
        if finished.succeeded() {
            let mut arguments = SAFE.to_vec();
            arguments.extend(["submodule", "--quiet", "update", "--init", "--", path]);
            finished = sandbox.run(&directory, "git", &arguments, &QUIET).await?;
        }
        if !finished.succeeded() {
            warn!(submodule = %repository, error = finished.stderr, "a submodule could not be cloned");
            let said = finished.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("git gave no reason");
            left_out.push(Skipped::new(path, format!("git could not fetch {repository}: {}", said.trim())).sentence());
            continue;
        }
        let inner = ["-C", path, "cat-file", "-e", "HEAD:.gitmodules"];
        if sandbox.run(&directory, "git", &inner, &QUIET).await?.succeeded() {
            left_out.push(format!("The submodules of the submodule {path} are not cloned"));
        }
    }
    left_out.truncate(MAX_NOTICES);
    Ok(left_out)
}

/// Returns the commit of the clone's branch. `None`: the branch no longer exists.
pub(super) async fn head(sandbox: &mut Sandbox, checkout: &Checkout) -> Result<Option<String>, LaunchError> {
    let own = format!("refs/heads/{}", checkout.branch);
    let finished =
        sandbox.run(&checkout.directory(), "git", &["rev-parse", "--verify", "--quiet", &own], &QUIET).await?;
    Ok(finished.succeeded().then(|| finished.stdout.trim().to_owned()))
}

/// Pushes the commits that are not pushed yet. Returns the reason of a refusal.
pub(super) async fn push(sandbox: &mut Sandbox, checkout: &Checkout) -> Result<Option<String>, LaunchError> {
    let own = format!("refs/heads/{}", checkout.branch);
    let refspec = format!("{own}:{own}");
    let mut arguments = SAFE.to_vec();
    arguments.extend(["push", "--quiet", "--no-verify", "--recurse-submodules=no", "origin", &refspec]);
    let finished = sandbox.run(&checkout.directory(), "git", &arguments, &QUIET).await?;
    Ok((!finished.succeeded()).then_some(finished.stderr))
}

fn failed(finished: &Finished) -> Failure {
    let said = if finished.stderr.is_empty() { "git ended without a word" } else { &finished.stderr };
    Failure::new(ErrorType::CloneFailed, format!("the repository could not be cloned: {said}"))
}
