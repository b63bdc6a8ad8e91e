//! The repositories that links name.

use domain::repository::RepositoryName;
use reqwest::Url;

/// The first segment of the forge's own pages. No account can have one of these names.
const PAGES: [&str; 58] = [
    "about",
    "account",
    "advisories",
    "api",
    "apps",
    "blog",
    "codespaces",
    "collections",
    "contact",
    "copilot",
    "customer-stories",
    "dashboard",
    "discussions",
    "enterprise",
    "enterprises",
    "events",
    "explore",
    "features",
    "gist",
    "gists",
    "github-copilot",
    "import",
    "issues",
    "join",
    "login",
    "logout",
    "marketplace",
    "new",
    "nonprofit",
    "notifications",
    "oauth",
    "orgs",
    "organizations",
    "pricing",
    "projects",
    "pulls",
    "raw",
    "readme",
    "repos",
    "search",
    "security",
    "sessions",
    "settings",
    "setup",
    "site",
    "solutions",
    "sponsors",
    "stafftools",
    "stars",
    "storage",
    "support",
    "team",
    "topics",
    "trending",
    "user",
    "users",
    "watching",
    "-",
];
/// Hosts that github.com has besides its own. The paths of all of them start with `/OWNER/NAME`.
const HOSTS_OF_GITHUB: [&str; 4] =
    ["ssh.github.com", "raw.githubusercontent.com", "codeload.github.com", "raw.github.com"];

/// The forge's web address and the address of its API.
#[derive(Clone, Debug)]
pub struct ForgeAddress {
    url: Url,
    api_url: Url,
}

/// The meaning of a word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A link to a repository of the forge, or to one of its issues, pull requests, files, …
    Repository(RepositoryName),
    /// A link to another site, or to a page of the forge that belongs to no repository.
    Other,
    NoLink,
}

impl ForgeAddress {
    pub fn new(url: Url, api_url: Url) -> Self {
        ForgeAddress { url, api_url }
    }

    /// Reads a word as a link: with a scheme, as `HOST/OWNER/NAME`, or as `git@HOST:OWNER/NAME.git`.
    pub fn read(&self, word: &str) -> Link {
        let word = word.strip_prefix("git+").unwrap_or(word);
        if let Some((scheme, _)) = word.split_once("://") {
            let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            return if is_scheme { self.read_url(word) } else { Link::NoLink };
        }
        let word = word.trim_start_matches("//");
        let end = word.find(['/', ':']).unwrap_or(word.len());
        let (user, host) = word[..end].rsplit_once('@').map_or((None, &word[..end]), |(user, host)| (Some(user), host));
        let rest = &word[end..];
        if !self.is_host(host) && !self.is_api_host(host) {
            return if user.is_some() && rest.starts_with(':') { Link::Other } else { Link::NoLink };
        }
        match rest.strip_prefix(':') {
            // `git@HOST:OWNER/NAME`. Digits are a port.
            Some(path) if !path.split('/').next().is_some_and(is_number) => named(path),
            _ => self.read_url(&format!("{}://{host}{rest}", self.url.scheme())),
        }
    }

    fn read_url(&self, text: &str) -> Link {
        let Ok(link) = Url::parse(text) else { return Link::Other };
        let Some(host) = link.host_str() else { return Link::Other };
        let path = link.path().trim_start_matches('/');
        let is_web = matches!(link.scheme(), "http" | "https");
        if is_web && self.is_api_host(host) && same_port(&link, &self.api_url) {
            let base = self.api_url.path().trim_matches('/');
            if let Some(rest) = below(path, base) {
                return below(rest, "repos").map_or(Link::Other, named);
            }
        }
        // `ssh://` and `git://` have ports of their own.
        let same_port = !is_web || !self.is_own_host(host) || same_port(&link, &self.url);
        let is_known = is_web || matches!(link.scheme(), "ssh" | "git");
        if !self.is_host(host) || !same_port || !is_known {
            return Link::Other;
        }
        let base = if self.is_own_host(host) { self.url.path().trim_matches('/') } else { "" };
        below(path, base).map_or(Link::Other, named)
    }

    fn is_own_host(&self, host: &str) -> bool {
        let host = host.strip_prefix("www.").unwrap_or(host);
        self.url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    fn is_host(&self, host: &str) -> bool {
        let is_github = self.url.host_str() == Some("github.com");
        self.is_own_host(host) || (is_github && HOSTS_OF_GITHUB.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }

    fn is_api_host(&self, host: &str) -> bool {
        self.api_url.host_str().is_some_and(|own| own.eq_ignore_ascii_case(host))
    }
}

/// Reads `OWNER/NAME` and anything below it.
fn named(path: &str) -> Link {
    let mut parts = path.trim_start_matches('/').split('/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return Link::Other };
    if PAGES.iter().any(|page| page.eq_ignore_ascii_case(owner)) {
        return Link::Other;
    }
    let name = name.split(['?', '#']).next().unwrap_or_default().trim_end_matches(['.', ':', '!']);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let name = name.strip_suffix(".wiki").unwrap_or(name);
    format!("{owner}/{name}")
        .parse()
        .ok()
        .filter(|_| !name.is_empty() && !owner.is_empty())
        .map_or(Link::Other, Link::Repository)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// True if the ports are the same. A link may use `http` for a forge that has `https`.
fn same_port(link: &Url, own: &Url) -> bool {
    link.port_or_known_default() == own.port_or_known_default() || (link.port().is_none() && own.port().is_none())
}

/// The part of a path below a base.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    if base.is_empty() {
        return Some(path);
    }
    let head = path.get(..base.len())?;
    let rest = &path[base.len()..];
    (head.eq_ignore_ascii_case(base) && (rest.is_empty() || rest.starts_with('/')))
        .then(|| rest.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::{ForgeAddress, Link};

    fn read(forge: (&str, &str), word: &str) -> Option<String> {
        let address = ForgeAddress::new(forge.0.parse().unwrap(), forge.1.parse().unwrap());
        match address.read(word) {
            Link::Repository(name) => Some(name.to_string()),
            Link::Other => Some("other".to_owned()),
            Link::NoLink => None,
        }
    }

    const GITHUB: (&str, &str) = ("https://github.com", "https://api.github.com");

    #[test]
    fn all_forms_of_links_name_their_repository() {
        for word in [
            "https://github.com/acme/docs",
            "http://github.com/acme/docs",
            "https://www.github.com/acme/docs/",
            "HTTPS://GitHub.com/acme/docs",
            "github.com/acme/docs",
            "www.github.com/acme/docs.git",
            "//github.com/acme/docs",
            "https://github.com/acme/docs.git",
            "https://github.com/acme/docs.wiki.git",
            "https://github.com/acme/docs/issues/3#issuecomment-5",
            "https://github.com/acme/docs/pull/12/files?w=1",
            "https://github.com/acme/docs/blob/main/src/main.rs#L3-L9",
            "https://github.com/acme/docs/tree/feature/x",
            "https://github.com/acme/docs/commit/0123abc",
            "https://github.com/acme/docs/compare/main...x",
            "https://github.com/acme/docs/actions/runs/7",
            "https://github.com/acme/docs?tab=readme-ov-file",
            "https://github.com/acme/docs#readme",
            "https://kim:ghp_x@github.com/acme/docs.git",
            "https://github.com:443/acme/docs",
            "git@github.com:acme/docs.git",
            "org-7@github.com:acme/docs.git",
            "github.com:acme/docs",
            "ssh://git@github.com/acme/docs.git",
            "ssh://git@ssh.github.com:443/acme/docs.git",
            "git+ssh://git@github.com/acme/docs.git#v1",
            "git+https://github.com/acme/docs.git",
            "git://github.com/acme/docs.git",
            "https://raw.githubusercontent.com/acme/docs/main/README.md",
            "https://codeload.github.com/acme/docs/zip/main",
            "https://api.github.com/repos/acme/docs/issues/3",
        ] {
            assert_eq!(read(GITHUB, word).as_deref(), Some("acme/docs"), "{word}");
        }
    }

    #[test]
    fn other_links_name_none() {
        for word in [
            "https://gitlab.com/acme/docs",
            "https://github.com.evil.test/acme/docs",
            "https://github.com@evil.test/acme/docs",
            "https://evil.test/github.com/acme/docs",
            "https://evil.test/?to=https://github.com/acme/docs",
            "https://notgithub.com/acme/docs",
            "https://github.com:8443/acme/docs",
            "https://gist.github.com/acme/0123",
            "https://docs.github.com/en/rest",
            "https://acme.github.io/docs",
            "https://github.com",
            "https://github.com/acme",
            "https://github.com/orgs/acme/projects/3",
            "https://github.com/settings/tokens",
            "https://github.com/features/actions",
            "https://github.com/users/kim/projects/1",
            "https://api.github.com/users/acme",
            "ftp://github.com/acme/docs",
            "git@gitlab.com:acme/docs.git",
            "https://",
        ] {
            assert_eq!(read(GITHUB, word).as_deref(), Some("other"), "{word}");
        }
        for word in ["acme/docs", "src/main.rs", "docs", "12/24", "application/json", "a@b.test", "", ":", "@acme/docs"]
        {
            assert_eq!(read(GITHUB, word), None, "{word}");
        }
    }

    #[test]
    fn an_enterprise_server_is_its_own_forge() {
        let forge = ("https://git.acme.test/hub", "https://git.acme.test/hub/api/v3");
        for (word, named) in [
            ("https://git.acme.test/hub/acme/docs/pull/3", "acme/docs"),
            ("git.acme.test/hub/acme/docs", "acme/docs"),
            ("git@git.acme.test:acme/docs.git", "acme/docs"),
            ("https://git.acme.test/hub/api/v3/repos/acme/docs", "acme/docs"),
            ("https://git.acme.test/hub/api/v3/users/acme", "other"),
            ("https://git.acme.test/acme/docs", "other"),
            ("https://github.com/acme/docs", "other"),
        ] {
            assert_eq!(read(forge, word).as_deref(), Some(named), "{word}");
        }
        let local = ("http://127.0.0.1:4000", "http://127.0.0.1:4000/api/v3");
        assert_eq!(read(local, "127.0.0.1:4000/acme/docs").as_deref(), Some("acme/docs"));
        assert_eq!(read(local, "http://127.0.0.1:4000/acme/docs/issues/1").as_deref(), Some("acme/docs"));
        assert_eq!(read(local, "http://127.0.0.1:4001/acme/docs").as_deref(), Some("other"));
    }
}
