//! Tests against the forge of mock-api, over real HTTP.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::repository::RepositoryName;
use http::{HeaderMap, Method, StatusCode};
use mock_api::forge::{Fault, Forge, Seed, Token};
use network_access::NetworkAccess;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{AppKey, GitHub, GitHubCredential, GitHubError, GitHubSettings, NewPull, PullChanges, RefUpdate};

struct World {
    forge: Forge,
    directory: TempDir,
}

impl World {
    async fn start() -> World {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = vec![Token::full("right", "dev")];
        let forge = Forge::serve(listener, directory.path().join("repositories"), tokens).unwrap();
        for name in ["acme/api", "acme/web"] {
            forge.create_repository(name, &Seed::new("", &[("README.md", "# A\n")])).await.unwrap();
        }
        World { forge, directory }
    }

    fn client(&self, credential: GitHubCredential) -> GitHub {
        let url = self.forge.url().parse().unwrap();
        GitHub::new(GitHubSettings {
            url,
            api_url: self.forge.api_url().parse().unwrap(),
            credential,
            network: NetworkAccess::default(),
        })
        .unwrap()
    }

    fn github(&self) -> GitHub {
        self.client(GitHubCredential::Token("right".into()))
    }

    /// Pushes a branch with one commit more than main.
    fn push(&self, branch: &str) {
        let script = format!(
            "git clone -q http://x:right@{} w && cd w && git switch -q -c {branch} && echo more >> README.md && \
             git -c user.name=a -c user.email=a@acme.test commit -qam more && git push -q origin {branch}",
            format_args!("{}/acme/api.git", self.forge.url().trim_start_matches("http://")),
        );
        let mut shell = std::process::Command::new("sh");
        assert!(shell.arg("-c").arg(script).current_dir(self.directory.path()).status().unwrap().success());
    }

    fn fail(&self, method: Method, path: &str, status: u16, times: u32, retry_after: Option<u32>) {
        let (status, path) = (StatusCode::from_u16(status).unwrap(), path.to_owned());
        self.forge.fail(Fault { method, path, status, message: "as ordered".to_owned(), retry_after, times });
    }
}

/// Generates a private key in the PEM form that the forge issues.
fn private_key() -> String {
    let key = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let lines = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn api() -> RepositoryName {
    "acme/api".parse().unwrap()
}

#[tokio::test]
async fn lists_follow_their_pages() {
    let world = World::start().await;
    for number in 0..120 {
        let name = format!("acme/r{number}");
        world.forge.create_repository(&name, &Seed::new("", &[("a", "a")])).await.unwrap();
    }
    let all = world.github().repositories().await.unwrap();
    assert_eq!(all.len(), 122);
    assert!(all.iter().any(|repository| repository.full_name == "ACME/R119".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_opened_once_and_made_ready() {
    let world = World::start().await;
    let github = world.github();
    world.push("claude/1");
    assert!(github.branch(&api(), "claude/1").await.unwrap().is_some());
    assert_eq!(github.branch(&api(), "claude/2").await.unwrap(), None);
    let new = |head: &str| NewPull {
        title: "More".to_owned(),
        body: String::new(),
        head: head.to_owned(),
        base: "main".to_owned(),
    };
    let pull = github.open_pull(&api(), &new("claude/1")).await.unwrap();
    assert!(pull.draft);
    assert_eq!(github.open_pull(&api(), &new("claude/1")).await.unwrap(), pull, "the same once more");
    let refused = github.open_pull(&api(), &new("main")).await.unwrap_err();
    assert!(matches!(&refused, GitHubError::Invalid(message) if message.contains("No commits between")), "{refused}");

    let changes = PullChanges { title: Some("Less".to_owned()), body: None };
    github.change_pull(&api(), pull.number, &changes).await.unwrap();
    github.mark_ready(&api(), &pull).await.unwrap();
    let [pull] = &world.forge.pulls("acme/api")[..] else { panic!("there is one") };
    assert_eq!((pull.title.as_str(), pull.draft), ("Less", false));
    let limit = github.rate_limit().unwrap();
    assert!(limit.remaining < limit.limit);
}

#[tokio::test]
async fn what_passes_is_asked_again_and_what_does_not_is_told() {
    let world = World::start().await;
    let github = world.github();
    world.fail(Method::GET, "/repos/acme/api", 502, 2, None);
    github.repository(&api()).await.unwrap();
    world.fail(Method::GET, "/repos/acme/api", 502, 3, None);
    let error = github.repository(&api()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable { status: 502, .. }), "{error}");
    world.fail(Method::GET, "/repos/acme/api", 403, 1, Some(1));
    github.repository(&api()).await.unwrap();

    world.forge.set_rate_limit(0);
    let error = github.repository(&api()).await.unwrap_err();
    assert!(matches!(error, GitHubError::RateLimited(wait) if wait.as_secs() > 60), "{error}");
    world.forge.set_rate_limit(100);
    let error = github.repository(&"acme/none".parse().unwrap()).await.unwrap_err();
    assert!(matches!(&error, GitHubError::NotFound(what) if what == "acme/none"), "{error}");
    let wrong = world.client(GitHubCredential::Token("wrong".into()));
    assert!(matches!(wrong.repository(&api()).await.unwrap_err(), GitHubError::Unauthorized(_)));
}

#[tokio::test]
async fn an_app_asks_for_a_token_of_one_repository_and_keeps_it() {
    let world = World::start().await;
    let path = world.directory.path().join("app.pem");
    std::fs::write(&path, private_key()).unwrap();
    let github = world.client(GitHubCredential::App(AppKey::read(1, &path).unwrap()));
    github.repository(&api()).await.unwrap();
    let token: SecretString = github.token(&api()).await.unwrap();
    assert!(token.expose_secret().starts_with("ghs_"));
    let asked = world.forge.calls().iter().filter(|call| call.contains("access_tokens")).count();
    assert_eq!(asked, 1);
    assert!(AppKey::read(1, &world.directory.path().join("none")).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_was_renamed_is_found_at_this_forge_only() {
    let world = World::start().await;
    let github = world.github();
    world.push("claude/1");
    let new =
        |head: &str| NewPull { title: "More".into(), body: String::new(), head: head.into(), base: "main".into() };
    let pull = github.open_pull(&api(), &new("claude/1")).await.unwrap();
    world.forge.rename_repository("acme/api", "newco/service").unwrap();
    // Another host name: the token must not go there.
    let api_url = world.forge.api_url().replace("127.0.0.1", "localhost").parse().unwrap();
    let url = world.forge.url().parse().unwrap();
    let elsewhere = GitHub::new(GitHubSettings {
        url,
        api_url,
        credential: GitHubCredential::Token("right".into()),
        network: NetworkAccess::default(),
    });
    let error = elsewhere.unwrap().repository(&api()).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Moved(name) if name == "acme/api"), "{error}");

    assert_eq!(github.pull_of_branch(&api(), "claude/1").await.unwrap().map(|pull| pull.number), Some(pull.number));
    assert_eq!(github.present_name(&api()), "newco/service".parse().unwrap());
    assert_eq!(github.repository(&api()).await.unwrap().full_name, "newco/service".parse().unwrap());
    let (commit, changes) = (github.branch(&api(), "claude/1").await.unwrap().unwrap(), PullChanges::default());
    github.update_branch(&api(), "claude/2", &commit, RefUpdate::Create).await.unwrap();
    github.change_pull(&api(), pull.number, &changes).await.unwrap();
    github.git(&api(), Method::GET, "/info/refs?service=git-upload-pack", &HeaderMap::new(), None).await.unwrap();
}

#[tokio::test]
async fn a_change_that_the_credential_may_not_make_is_no_missing_repository() {
    let world = World::start().await;
    let (github, name) = (world.github(), api());
    let change = github.branch(&name, "main").await.unwrap().unwrap();
    let create = || github.update_branch(&name, "claude/1", &change, RefUpdate::Create);
    let refuse = |status: u16, message: &str| {
        let (status, path, message) = (StatusCode::from_u16(status).unwrap(), "/git/refs".into(), message.into());
        world.forge.fail(Fault { method: Method::POST, path, status, message, retry_after: None, times: 1 });
    };
    refuse(404, "Not Found");
    assert!(matches!(create().await.unwrap_err(), GitHubError::MissingRights(name) if name == "acme/api"));
    refuse(403, "Resource not accessible by personal access token");
    assert!(matches!(create().await.unwrap_err(), GitHubError::MissingRights(_)));
    refuse(403, "Repository was archived so is read-only.");
    assert!(matches!(create().await.unwrap_err(), GitHubError::Archived(_)));
    refuse(422, "Repository rule violations found");
    assert!(matches!(create().await.unwrap_err(), GitHubError::Protected(_)));
    refuse(403, "Resource protected by organization SAML enforcement.");
    assert!(matches!(create().await.unwrap_err(), GitHubError::Forbidden(_)));
    world.forge.set_tree_limit(0);
    let error = github.workflows(&api(), &change).await.unwrap_err();
    assert!(matches!(error, GitHubError::Incomplete(_)), "{error}");
}

#[test]
fn names_are_those_of_repositories_and_no_paths() {
    for good in ["a/b", "acme-co/my_repo.rs", "A/.github"] {
        assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
    }
    for bad in ["", "a", "a/", "/b", "a/b/c", "a/..", "../b", "a/.", "a b/c", "a/b?c", "a/b%2fc", "ä/b"] {
        assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
    }
}
