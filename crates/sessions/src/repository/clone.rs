//! The clone, made by git in the sandbox through the gateway. It runs nothing of the repository: no hooks, no filters
//! of LFS, and submodules only of the same owner, one level deep.

use domain::repository::{Checkout, RepositoryName};
use domain::sandbox::WORKSPACE;
use domain::task::{ErrorType, Failure};
use gateway::GIT_PREFIX;
use reqwest::Url;
use sandbox::{Finished, GATEWAY, LaunchError, Sandbox};

use super::MirrorSource;
use super::from_mirror::{self, COPY};

/// From this size on, in kilobytes, git fetches files of old commits only on use.
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

/// Sets the committer and the forge's address: `$1` its own, `$2` the gateway's. Removes `$3` and `$4`, the leftovers
/// of an interrupted start.
const SET_UP: &str = r#"
git config --global user.name 'Claude Runner'
git config --global user.email 'claude-runner@users.noreply.github.com'
git config --global --replace-all "url.$2.insteadOf" "$1"
git config --global push.default current
git config --global advice.detachedHead false
rm -rf -- "$3" "$4"
"#;

/// A submodule that may be cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    path: String,
    pub(crate) name: RepositoryName,
}

/// Clones the branch, from a mirror where there is one. Returns the submodules to clone.
pub(crate) async fn clone(
    sandbox: &mut Sandbox,
    forge: &Url,
    checkout: &Checkout,
    mirror: Option<MirrorSource<'_>>,
) -> Result<Result<Vec<Submodule>, Failure>, LaunchError> {
    let forge = forge.as_str().trim_end_matches('/');
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
    let list = ["config", "-z", "--blob", "HEAD:.gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$"];
    let finished = sandbox.run(&directory, "git", &list, &QUIET).await?;
    Ok(Ok(submodules_in(&finished.stdout, forge, &checkout.name)))
}

/// Clones submodules into the clone. A submodule that cannot be cloned stays empty.
pub(crate) async fn add_submodules(
    sandbox: &mut Sandbox,
    checkout: &Checkout,
    submodules: &[Submodule],
) -> Result<(), LaunchError> {
    for Submodule { path, name } in submodules {
        let mut arguments = SAFE.to_vec();
        arguments.extend(["submodule", "--quiet", "update", "--init", "--", path]);
        let finished = sandbox.run(&checkout.directory(), "git", &arguments, &QUIET).await?;
        if !finished.succeeded() {
            tracing::warn!(submodule = %name, error = finished.stderr, "a submodule could not be cloned");
        }
    }
    Ok(())
}

/// Pushes the commits that are not pushed yet. `Some`: the reason of a refusal.
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

/// The submodules in the output of `git config -z`, `submodule.NAME.path\nPATH\0` and `submodule.NAME.url\nURL\0`, that
/// are repositories of the same owner at the same forge.
fn submodules_in(list: &str, forge: &str, own: &RepositoryName) -> Vec<Submodule> {
    let fields: Vec<(&str, &str)> = list.split('\0').filter_map(|field| field.split_once('\n')).collect();
    let found = fields.iter().filter_map(|(key, url)| {
        let module = key.strip_suffix(".url")?;
        let (_, path) = fields.iter().find(|(key, _)| key.strip_suffix(".path") == Some(module))?;
        let name = repository_at(url, forge, own).filter(|name| name.owner().eq_ignore_ascii_case(own.owner()))?;
        (name != *own).then(|| Submodule { path: (*path).to_owned(), name })
    });
    found.collect()
}

/// The repository at a submodule's address, which may be relative to its parent's.
fn repository_at(url: &str, forge: &str, own: &RepositoryName) -> Option<RepositoryName> {
    let path = match (url.strip_prefix("../../"), url.strip_prefix("../")) {
        (Some(rest), _) => rest.to_owned(),
        (None, Some(rest)) => format!("{}/{rest}", own.owner()),
        (None, None) => url.strip_prefix(forge)?.strip_prefix('/')?.to_owned(),
    };
    path.strip_suffix(".git").unwrap_or(&path).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Submodule, submodules_in};

    #[test]
    fn submodules_are_of_the_same_owner() {
        let list = |url: &str| format!("submodule.a.path\nlib/a\0submodule.a.url\n{url}\0");
        let own = "acme/api".parse().unwrap();
        let names = |url: &str| {
            let found = submodules_in(&list(url), "https://github.com", &own);
            found.into_iter().map(|Submodule { path, name }| format!("{path} {name}")).collect::<Vec<_>>()
        };
        for good in
            ["https://github.com/acme/part.git", "https://github.com/ACME/part", "../part.git", "../../acme/part"]
        {
            assert_eq!(names(good).len(), 1, "{good}");
        }
        assert_eq!(names("../part.git"), ["lib/a acme/part"]);
        for bad in [
            "https://github.com/other/part.git",
            "https://github.com.evil.test/acme/part",
            "https://evil.test/acme/part",
            "../../other/part",
            "../../../acme/part",
            "../part/../../../x",
            "file:///workspace",
            "ext::sh -c true",
            "--upload-pack=x",
            "../api",
            "",
        ] {
            assert_eq!(names(bad), [""; 0], "{bad}");
        }
        assert!(submodules_in("", "https://github.com", &own).is_empty());
    }
}
