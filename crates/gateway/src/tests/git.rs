//! The real git through the gateway, against the forge of mock-api.

use std::process::{Command, Output};

use forge::{GitHub, GitHubCredential, GitHubSettings};
use mock_api::forge::{Forge, Seed, SeedEntry, Token};
use reqwest::Url;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::{Credentials, Gateway, GatewaySettings, Prices, PushPolicy, RepositoryAccess, Workflows};

const TOKEN: &str = "ghp_never_in_a_sandbox";

struct World {
    forge: Forge,
    directory: TempDir,
    port: u16,
}

impl World {
    async fn start(workflows: Workflows) -> World {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = vec![Token::full(TOKEN, "dev")];
        let forge = Forge::serve(listener, directory.path().join("repositories"), tokens).unwrap();
        let seed =
            Seed::new("", &[("a", "1\n"), (".github/workflows/ci.yml", "on: push\n"), (".github/CODEOWNERS", "")])
                .with(SeedEntry::program("run.sh", "#!/bin/sh\n"));
        let base = forge.create_repository("acme/api", &seed).await.unwrap();
        for name in ["acme/part", "acme/other"] {
            forge.create_repository(name, &Seed::new("", &[("a", "1\n")])).await.unwrap();
        }
        let settings = GitHubSettings {
            url: forge.url().parse().unwrap(),
            api_url: forge.api_url().parse().unwrap(),
            credential: GitHubCredential::Token(TOKEN.into()),
        };
        let access = RepositoryAccess {
            github: GitHub::new(settings).unwrap(),
            name: "acme/api".parse().unwrap(),
            submodules: vec!["acme/part".parse().unwrap()],
            push: PushPolicy { branch: "claude/1".to_owned() },
            base,
            workflows,
        };
        World { port: serve(access).await, forge, directory }
    }

    /// Runs a shell in which git finds the forge at the gateway.
    async fn shell(&self, script: &str) -> Output {
        // The gateway answers to its own address in a container only; here it is reached as a proxy of that name.
        let url = "http://127.0.0.1:8787/github/";
        let proxy = format!("http://127.0.0.1:{}", self.port);
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(self.directory.path());
        shell.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
        for name in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{name}_NAME"), "dev").env(format!("GIT_{name}_EMAIL"), "dev@acme.test");
        }
        shell.env("GIT_CONFIG_COUNT", "2").env("GIT_CONFIG_KEY_0", format!("url.{url}.insteadOf"));
        shell.env("GIT_CONFIG_VALUE_0", "https://github.com/");
        shell.env("GIT_CONFIG_KEY_1", "http.proxy").env("GIT_CONFIG_VALUE_1", proxy);
        shell.env_remove("no_proxy").env_remove("NO_PROXY");
        tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap()
    }

    async fn works(&self, script: &str) {
        let output = self.shell(script).await;
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a script that has to fail, and returns git's error message.
    async fn refused(&self, script: &str) -> String {
        let output = self.shell(script).await;
        assert!(!output.status.success(), "{script} worked");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The refs of the repository at the forge, each with its commit.
    async fn references(&self) -> String {
        let path = self.forge.repository_path("acme/api");
        let mut git = Command::new("git");
        git.args(["for-each-ref", "--format=%(refname)"]).current_dir(path);
        let output = tokio::task::spawn_blocking(move || git.output().unwrap()).await.unwrap();
        String::from_utf8(output.stdout).unwrap().replace('\n', " ").trim_end().to_owned()
    }
}

/// A gateway for one sandbox, on a port instead of in its container.
async fn serve(access: RepositoryAccess) -> u16 {
    let settings = GatewaySettings::new(Url::parse("http://127.0.0.1:9").unwrap(), Prices::load(None).unwrap());
    let tracker = TaskTracker::new();
    let gateway = Gateway::new(settings, Credentials::new(None, None), tracker.clone()).unwrap();
    let sandbox = gateway.open();
    sandbox.set_repository(access);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tracker.clone().spawn(async move {
        let _gateway = gateway;
        while let Ok((stream, _)) = listener.accept().await {
            tracker.spawn(std::sync::Arc::clone(&sandbox).serve(stream));
        }
    });
    port
}

const CLONE: &str = "git clone -q https://github.com/acme/api.git w && cd w && git switch -q -c claude/1";

#[tokio::test]
async fn a_branch_is_cloned_and_pushed_without_a_token() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    world.works("cd w; echo 3 > a; git commit -qam 3; git push -q origin claude/1 claude/1:claude/1-more").await;
    assert_eq!(world.references().await, "refs/heads/claude/1 refs/heads/claude/1-more refs/heads/main");
    // A push of several megabytes goes in chunks, behind a request that only asks.
    world
        .works("cd w; head -c 4000000 /dev/urandom > big; git add big; git commit -qm big; git push -q origin claude/1")
        .await;
    world.works("git clone -q --depth 1 --filter=blob:none https://github.com/acme/api.git shallow").await;
    world.works("git clone -q https://github.com/acme/part.git part").await;
    let found = world.shell(&format!("grep -r {TOKEN} w part")).await;
    assert!(found.stdout.is_empty(), "the token is in a clone");
}

#[tokio::test]
async fn what_a_task_may_not_push_is_refused_with_a_reason() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git tag v1; git push -q origin claude/1")).await;
    let before = world.references().await;
    for (push, reason) in [
        ("git push origin HEAD:main", "this task may push claude/1 only"),
        ("git push origin HEAD:refs/heads/claude/2", "this task may push claude/1 only"),
        ("git push origin v1", "only branches can be pushed"),
        ("git push origin :claude/1", "branches cannot be deleted"),
        ("git push origin claude/1:claude/1-x HEAD:main", "another ref of this push was refused"),
        ("git push https://github.com/acme/other.git HEAD:claude/1", "403"),
        ("git push https://github.com/acme/part.git HEAD:claude/1", "403"),
        ("git clone https://github.com/acme/other.git other", "403"),
        ("git commit -q --amend -m 2b; git push --force origin claude/1", "not a fast forward"),
        (
            "echo 'on: [push, fork]' > .github/workflows/ci.yml; git commit -qam w; git push origin claude/1",
            "workflows",
        ),
        ("git rm -qr .github; git commit -qm w; git push origin claude/1:claude/1-w", "workflows"),
    ] {
        let said = world.refused(&format!("cd w; git reset -q --hard origin/claude/1; {push}")).await;
        assert!(said.contains(reason), "{push}: {said}");
        assert_eq!(world.references().await, before, "{push}");
    }
    world.works("cd w; git reset -q --hard origin/claude/1; echo x > .github/CODEOWNERS; git commit -qam c; git push -q origin claude/1").await;
}

#[tokio::test]
async fn workflows_can_be_changed_where_that_is_allowed() {
    let world = World::start(Workflows::Changeable).await;
    world
        .works(&format!("{CLONE}; echo > .github/workflows/ci.yml; git commit -qam w; git push -q origin claude/1"))
        .await;
}
