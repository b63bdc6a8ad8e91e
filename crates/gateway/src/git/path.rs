//! Recognises git's requests by their paths.

use domain::repository::RepositoryName;
use http::Method;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitService {
    /// `git-upload-pack`: fetch.
    Fetch,
    /// `git-receive-pack`.
    Push,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitCall {
    pub(super) repository: RepositoryName,
    pub(super) service: GitService,
    pub(super) step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `GET …/info/refs?service=git-…`.
    Advertise,
    /// `POST …/git-…`.
    Exchange,
}

impl GitCall {
    /// Parses `/OWNER/NAME.git/…`. Returns `None` for everything that git does not need: other paths, the dumb protocol, LFS.
    pub(super) fn parse(method: &Method, path: &str, query: Option<&str>) -> Option<GitCall> {
        let (repository, rest) = path.strip_prefix('/')?.split_once(".git/")?;
        let repository = repository.parse().ok()?;
        let service = |name: &str| match name {
            "git-upload-pack" => Some(GitService::Fetch),
            "git-receive-pack" => Some(GitService::Push),
            _ => None,
        };
        let (service, step) = match (method, rest, query) {
            (&Method::GET, "info/refs", Some(query)) => (service(query.strip_prefix("service=")?)?, Step::Advertise),
            (&Method::POST, name, None) => (service(name)?, Step::Exchange),
            (_, _, _) => return None,
        };
        Some(GitCall { repository, service, step })
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{GitCall, GitService, Step};

    #[test]
    fn only_what_git_needs_is_one_of_its_calls() {
        let parse = |method: Method, path: &str, query: Option<&str>| {
            GitCall::parse(&method, path, query).map(|call| (call.repository.to_string(), call.service, call.step))
        };
        let name = || "a/b".to_owned();
        let refs = |service: &str| parse(Method::GET, "/a/b.git/info/refs", Some(&format!("service={service}")));
        assert_eq!(refs("git-upload-pack"), Some((name(), GitService::Fetch, Step::Advertise)));
        assert_eq!(refs("git-receive-pack"), Some((name(), GitService::Push, Step::Advertise)));
        let push = parse(Method::POST, "/a/b.git/git-receive-pack", None);
        assert_eq!(push, Some((name(), GitService::Push, Step::Exchange)));
        for (method, path, query) in [
            (Method::GET, "/a/b.git/info/refs", None),
            (Method::GET, "/a/b.git/info/refs", Some("service=git-upload-archive")),
            (Method::GET, "/a/b.git/info/refs", Some("service=git-upload-pack&x=1")),
            (Method::GET, "/a/b.git/HEAD", None),
            (Method::GET, "/a/b.git/objects/info/packs", None),
            (Method::POST, "/a/b.git/info/lfs/objects/batch", None),
            (Method::POST, "/a/b.git/git-upload-pack", Some("x")),
            (Method::PUT, "/a/b.git/git-receive-pack", None),
            (Method::POST, "/a/../b.git/git-receive-pack", None),
            (Method::POST, "/a/b/c.git/git-receive-pack", None),
            (Method::POST, "/a/b%2f.git/git-receive-pack", None),
            (Method::POST, "//b.git/git-receive-pack", None),
        ] {
            assert_eq!(parse(method.clone(), path, query), None, "{method} {path} {query:?}");
        }
    }
}
