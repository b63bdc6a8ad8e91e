//! The submodules of a clone: those that may be cloned, and the reasons why others are not.

use domain::repository::RepositoryName;
use reqwest::Url;

/// A submodule that may be cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    /// The name of its section in `.gitmodules`.
    pub(super) module: String,
    pub(super) path: String,
    pub(crate) repository: RepositoryName,
}

/// A submodule that stays empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Skipped {
    pub(super) fn new(path: &str, reason: impl Into<String>) -> Self {
        Skipped { path: path.to_owned(), reason: reason.into() }
    }

    /// One sentence for people.
    pub(super) fn sentence(&self) -> String {
        const MAX_CHARS: usize = 300;

        let sentence = format!("The submodule {} is not cloned: {}", self.path, self.reason);
        sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect()
    }
}

/// Sorts the submodules of a commit.
///
/// - `paths`: the paths of its submodules
/// - `list`: the output of `git config -z` on `.gitmodules`, `submodule.NAME.path\nPATH\0` and `submodule.NAME.url\nURL\0`
pub(super) fn sort(paths: &[&str], list: &str, forge: &Url, own: &RepositoryName) -> (Vec<Submodule>, Vec<Skipped>) {
    let fields: Vec<(&str, &str)> = list.split('\0').filter_map(|field| field.split_once('\n')).collect();
    let (mut known, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let module =
            fields.iter().find_map(|(key, value)| if value == path { key.strip_suffix(".path") } else { None });
        let url = module.and_then(|module| {
            fields
                .iter()
                .find_map(|(key, value)| if key.strip_suffix(".url") == Some(module) { Some(*value) } else { None })
        });
        let (Some(module), Some(url)) = (module, url) else {
            skipped.push(Skipped::new(path, ".gitmodules has no address for it"));
            continue;
        };
        match repository_at(url, forge, own) {
            None => skipped.push(Skipped::new(path, "its address is not a repository of this forge")),
            Some(repository) if repository == *own => skipped.push(Skipped::new(path, "it is the same repository")),
            Some(repository) if !repository.owner().eq_ignore_ascii_case(own.owner()) => {
                let reason = format!(
                    "it belongs to {}, and a task gets repositories of {} only",
                    repository.owner(),
                    own.owner()
                );
                skipped.push(Skipped::new(path, reason));
            }
            Some(repository) => {
                let module = module.strip_prefix("submodule.").unwrap_or(module).to_owned();
                known.push(Submodule { module, path: (*path).to_owned(), repository });
            }
        }
    }
    (known, skipped)
}

/// The repository of the forge at an address, in any form that git takes: `https://`, `ssh://`, `git://`,
/// `user@host:path`, or relative to the parent's address.
fn repository_at(address: &str, forge: &Url, own: &RepositoryName) -> Option<RepositoryName> {
    let path = if address.starts_with("./") || address.starts_with("../") {
        relative(address, own)?
    } else if address.contains("://") {
        at_url(address, forge)?
    } else {
        let (host, path) = address.split_once(':')?;
        is_ssh_host(host.rsplit_once('@').map_or(host, |(_, host)| host), forge).then(|| path.to_owned())?
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").parse().ok()
}

/// The path of an address relative to `OWNER/NAME`.
fn relative(address: &str, own: &RepositoryName) -> Option<String> {
    let mut base = vec![own.owner(), own.name()];
    let mut rest = address;
    loop {
        if let Some(inner) = rest.strip_prefix("../") {
            base.pop()?;
            rest = inner;
        } else if let Some(inner) = rest.strip_prefix("./") {
            rest = inner;
        } else {
            base.push(rest);
            return Some(base.join("/"));
        }
    }
}

fn at_url(address: &str, forge: &Url) -> Option<String> {
    let url = Url::parse(address).ok()?;
    match url.scheme() {
        "http" | "https" => {
            let is_forge = url.host_str()?.eq_ignore_ascii_case(forge.host_str()?) && url.port() == forge.port();
            let path = url.path().strip_prefix(forge.path().trim_end_matches('/'))?;
            (is_forge && url.query().is_none()).then(|| path.to_owned())
        }
        "ssh" | "git" | "git+ssh" | "ssh+git" => is_ssh_host(url.host_str()?, forge).then(|| url.path().to_owned()),
        _ => None,
    }
}

/// The forge's host, or the one that it has for networks which block the port of SSH (`ssh.github.com`).
fn is_ssh_host(host: &str, forge: &Url) -> bool {
    forge.host_str().is_some_and(|forge| {
        let host = host.to_ascii_lowercase();
        host == forge || host.strip_prefix("ssh.") == Some(forge)
    })
}

#[cfg(test)]
mod tests {
    use super::{Skipped, Submodule, sort};

    fn sorted(url: &str) -> (Vec<String>, Vec<String>) {
        let list = format!("submodule.a.path\nlib/a\0submodule.a.url\n{url}\0");
        let forge = "https://github.com".parse().unwrap();
        let (known, skipped) = sort(&["lib/a"], &list, &forge, &"acme/api".parse().unwrap());
        let known =
            known.into_iter().map(|Submodule { module, path, repository }| format!("{module} {path} {repository}"));
        (known.collect(), skipped.into_iter().map(|Skipped { reason, .. }| reason).collect())
    }

    #[test]
    fn one_repository_has_many_addresses() {
        for address in [
            "https://github.com/acme/part.git",
            "https://github.com/acme/part",
            "https://github.com/acme/part/",
            "https://github.com/acme/part.git/",
            "https://github.com//acme/part",
            "https://GitHub.com/acme/part.git",
            "https://somebody@github.com/acme/part.git",
            "https://somebody:secret@github.com/acme/part.git",
            "https://github.com:443/acme/part.git",
            "http://github.com/acme/part.git",
            "git://github.com/acme/part.git",
            "ssh://git@github.com/acme/part.git",
            "ssh://git@github.com/acme/part",
            "ssh://git@github.com:22/acme/part.git/",
            "ssh://git@ssh.github.com:443/acme/part.git",
            "git+ssh://git@github.com/acme/part.git",
            "git@github.com:acme/part.git",
            "git@github.com:acme/part",
            "git@github.com:acme/part/",
            "git@github.com:/acme/part.git",
            "github.com:acme/part.git",
            "../part.git",
            "../part",
            "../part.git/",
            "./../part",
            "../../acme/part",
        ] {
            assert_eq!(sorted(address), (vec!["a lib/a acme/part".to_owned()], vec![]), "{address}");
        }
        assert_eq!(sorted("git@github.com:ACME/part").0, ["a lib/a ACME/part"]);
    }

    #[test]
    fn others_are_named_with_the_reason() {
        let elsewhere = "its address is not a repository of this forge";
        let foreign = "it belongs to other, and a task gets repositories of acme only";
        for (address, reason) in [
            ("https://github.com/other/part.git", foreign),
            ("git@github.com:other/part.git", foreign),
            ("../../other/part", foreign),
            ("../api", "it is the same repository"),
            ("https://github.com.evil.test/acme/part", elsewhere),
            ("https://github.com@evil.test/acme/part", elsewhere),
            ("https://evil.test/acme/part", elsewhere),
            ("https://github.com:444/acme/part", elsewhere),
            ("https://github.com/acme/part?x", elsewhere),
            ("https://github.com/acme", elsewhere),
            ("https://github.com/acme/part/more", elsewhere),
            ("git@evil.test:acme/part", elsewhere),
            ("git@github.com.evil.test:acme/part", elsewhere),
            ("evil@github.com:acme/part@evil.test:x", elsewhere),
            ("../../../acme/part", elsewhere),
            ("../part/../../../x", elsewhere),
            ("./part", elsewhere),
            ("file:///workspace/acme/part", elsewhere),
            ("/acme/part", elsewhere),
            ("acme/part", elsewhere),
            ("ext::sh -c true", elsewhere),
            ("--upload-pack=x", elsewhere),
            ("", elsewhere),
        ] {
            assert_eq!(sorted(address), (vec![], vec![reason.to_owned()]), "{address}");
        }
        let forge = "https://github.com".parse().unwrap();
        let (_, skipped) = sort(&["lib/a"], "submodule.a.path\nlib/b\0", &forge, &"acme/api".parse().unwrap());
        assert_eq!(skipped[0].sentence(), "The submodule lib/a is not cloned: .gitmodules has no address for it");
    }

    #[test]
    fn a_forge_of_ones_own_has_its_path_and_port() {
        let forge = "http://127.0.0.1:3459/git/".parse().unwrap();
        let list = |url: &str| format!("submodule.a.path\na\0submodule.a.url\n{url}\0");
        let known = |url: &str| sort(&["a"], &list(url), &forge, &"acme/api".parse().unwrap()).0.len();
        assert_eq!(known("http://127.0.0.1:3459/git/acme/part"), 1);
        assert_eq!(known("git@127.0.0.1:acme/part"), 1);
        assert_eq!(known("http://127.0.0.1:3459/acme/part"), 0);
        assert_eq!(known("http://127.0.0.1/git/acme/part"), 0);
    }
}
