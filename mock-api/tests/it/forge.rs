//! Tests of the forge with the real git and over its REST API.

use std::path::Path;
use std::process::Command;

use axum::http::{Method, StatusCode};
use mock_api::forge::{Fault, Forge, Seed, SeedEntry, Token};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::listener;

const TOKEN: &str = "ghp_test";
const READER: &str = "ghp_reader";

struct World {
    forge: Forge,
    directory: TempDir,
}

impl World {
    async fn start() -> World {
        let directory = TempDir::new().unwrap();
        let mut reader = Token::full(READER, "reader");
        reader.may_write = false;
        reader.repositories = Some(vec!["acme/api".to_owned()]);
        let tokens = vec![Token::full(TOKEN, "dev"), reader];
        let forge = Forge::serve(listener().await, directory.path().join("repositories"), tokens).unwrap();
        let seed = Seed::new("The API", &[("README.md", "# API\n")])
            .with(SeedEntry::program("run.sh", "#!/bin/sh\n"))
            .with(SeedEntry::Symlink { path: "link".to_owned(), target: "README.md".to_owned() });
        forge.create_repository("acme/api", &seed).await.unwrap();
        forge.create_repository("acme/web", &Seed::new("The page", &[("index.html", "hello\n")])).await.unwrap();
        World { forge, directory }
    }

    async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = if path.starts_with("/api/") {
            format!("{}{path}", self.forge.url())
        } else {
            format!("{}{path}", self.forge.api_url())
        };
        let request = Client::new().request(method, url).bearer_auth(token).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(TOKEN, Method::GET, path, json!({})).await
    }

    /// Runs git in a directory of the test. Returns true if it succeeded.
    async fn git(&self, directory: &str, arguments: &[&str]) -> bool {
        let directory = self.directory.path().join(directory);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let run = move || {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=dev", "-c", "user.email=dev@acme.test"]).args(arguments);
            git.current_dir(directory).env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
            git.status().unwrap().success()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn remote(&self, token: &str, name: &str) -> String {
        format!("{}/{name}.git", self.forge.url().replace("http://", &format!("http://x:{token}@")))
    }

    /// Clones, commits on the branch `fix`, and pushes.
    async fn push_fix(&self) {
        assert!(self.git("", &["clone", "--quiet", &self.remote(TOKEN, "acme/api"), "clone"]).await);
        assert!(self.git("clone", &["switch", "--quiet", "-c", "fix"]).await);
        std::fs::write(self.directory.path().join("clone/README.md"), "# The API\n").unwrap();
        assert!(self.git("clone", &["commit", "--quiet", "-am", "Name it"]).await);
        assert!(self.git("clone", &["push", "--quiet", "origin", "fix"]).await);
    }
}

#[tokio::test]
async fn git_clones_and_pushes_with_a_token_and_not_without() {
    let world = World::start().await;
    world.push_fix().await;
    let clone = world.directory.path().join("clone");
    assert_eq!(std::fs::read_link(clone.join("link")).unwrap(), Path::new("README.md"));
    assert_eq!(world.get("/repos/acme/api/branches/fix").await.0, 200);
    let (status, missing) = world.get("/repos/acme/api/branches/none").await;
    assert_eq!((status, &missing["message"]), (404, &json!("Branch not found")));

    // A read-only token, a wrong token, and a repository that the token cannot see.
    let push = world.git("clone", &["push", "--quiet", &world.remote(READER, "acme/api"), "fix:other"]).await;
    assert!(!push, "a reader pushed");
    for (token, name) in [("wrong", "acme/api"), (READER, "acme/web"), (TOKEN, "acme/none")] {
        assert!(!world.git("", &["ls-remote", &world.remote(token, name)]).await, "{token} {name}");
    }
    // A clone may request a part of the objects.
    let partial = ["clone", "--quiet", "--filter=blob:none", &world.remote(READER, "acme/api"), "partial"];
    assert!(world.git("", &partial).await);
}

#[tokio::test]
async fn a_pull_request_is_a_draft_until_it_is_marked_ready() {
    let world = World::start().await;
    let new = |title: &str| json!({ "title": title, "head": "fix", "base": "main", "body": "why", "draft": true });
    let (status, no_branch) = world.call(TOKEN, Method::POST, "/repos/acme/api/pulls", new("Too early")).await;
    assert_eq!((status, &no_branch["errors"][0]["field"]), (422, &json!("head")));

    world.push_fix().await;
    let (status, pull) = world.call(TOKEN, Method::POST, "/repos/acme/api/pulls", new("Name it")).await;
    assert_eq!(
        (status, &pull["number"], &pull["draft"], &pull["state"]),
        (201, &json!(1), &json!(true), &json!("open"))
    );
    assert_eq!(pull["html_url"], format!("{}/acme/api/pull/1", world.forge.url()));

    let (status, second) = world.call(TOKEN, Method::POST, "/repos/acme/api/pulls", new("Again")).await;
    let message = second["errors"][0]["message"].as_str().unwrap();
    assert!(status == 422 && message.contains("already exists for acme:fix"), "{second}");
    let (_, found) = world.get("/repos/acme/api/pulls?head=acme:fix&state=open").await;
    assert_eq!(found.as_array().unwrap().len(), 1);

    let change = json!({ "title": "Name the API", "draft": false });
    world.call(TOKEN, Method::PATCH, "/repos/acme/api/pulls/1", change).await;
    let mutation =
        "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }";
    let query = json!({ "query": mutation, "variables": { "id": pull["node_id"] } });
    assert!(world.forge.pulls("acme/api")[0].draft, "only GraphQL makes it ready");
    let (_, ready) = world.call(TOKEN, Method::POST, "/api/graphql", query).await;
    assert_eq!(ready["data"]["markPullRequestReadyForReview"]["pullRequest"]["isDraft"], false, "{ready}");
    let pull = &world.forge.pulls("acme/api")[0];
    assert_eq!((pull.title.as_str(), pull.draft, pull.open), ("Name the API", false, true));
}

#[tokio::test]
async fn lists_come_in_pages_and_show_what_the_token_sees() {
    let world = World::start().await;
    let url = format!("{}/user/repos?per_page=1", world.forge.api_url());
    let response = Client::new().get(url).bearer_auth(TOKEN).send().await.unwrap();
    let next = format!("<{}/user/repos?per_page=1&page=2>; rel=\"next\"", world.forge.api_url());
    assert!(response.headers()["link"].to_str().unwrap().starts_with(&next), "{:?}", response.headers());
    let (_, second) = world.get("/user/repos?per_page=1&page=2").await;
    assert_eq!(second[0]["full_name"], "acme/web");
    let (_, seen) = world.call(READER, Method::GET, "/user/repos", json!({})).await;
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(world.call(READER, Method::GET, "/repos/acme/web", json!({})).await.0, 404);
    assert_eq!(world.call("wrong", Method::GET, "/user", json!({})).await.0, 401);
}

#[tokio::test]
async fn faults_and_the_rate_limit_are_those_that_were_ordered() {
    let world = World::start().await;
    let fault = Fault {
        method: Method::GET,
        path: "/repos/acme/api".to_owned(),
        status: StatusCode::BAD_GATEWAY,
        message: "Server Error".to_owned(),
        retry_after: Some(1),
        times: 1,
    };
    world.forge.fail(fault);
    assert_eq!(world.get("/repos/acme/api").await.0, 502);
    assert_eq!(world.get("/repos/acme/api").await.0, 200);
    world.forge.set_rate_limit(1);
    assert_eq!(world.get("/user").await.0, 200);
    let response =
        Client::new().get(format!("{}/user", world.forge.api_url())).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["x-ratelimit-remaining"].to_str().unwrap()), (403, "0"));
    assert_eq!(world.forge.calls().last().unwrap(), "GET /api/v3/user 403");
}

#[tokio::test]
async fn an_app_gets_a_token_for_one_repository() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let world = World::start().await;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let jwt = format!("{}.{}.c2ln", part(json!({ "alg": "RS256" })), part(json!({ "iss": 1, "iat": 1, "exp": 2 })));
    let (status, installation) = world.call(&jwt, Method::GET, "/repos/acme/api/installation", json!({})).await;
    assert_eq!(status, 200);
    let path = format!("/app/installations/{}/access_tokens", installation["id"]);
    let (status, made) = world.call(&jwt, Method::POST, &path, json!({ "repositories": ["api"] })).await;
    assert_eq!(status, 201);
    let token = made["token"].as_str().unwrap();
    assert_eq!(world.call(token, Method::GET, "/repos/acme/api", json!({})).await.0, 200);
    assert_eq!(world.call(token, Method::GET, "/repos/acme/web", json!({})).await.0, 404);
    assert_eq!(world.call(TOKEN, Method::POST, &path, json!({})).await.0, 401, "a user's token is no app's");
}
