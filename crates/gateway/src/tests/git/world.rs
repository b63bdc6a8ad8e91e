//! A gateway for one sandbox, and a shell whose git uses it.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::Arc;

use forge::{GitHub, GitHubCredential, GitHubSettings};
use mock_api::forge::{Forge, Seed, SeedEntry, Token};
use network_access::NetworkAccess;
use reqwest::Url;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::sandbox::SandboxGateway;
use crate::{Credentials, Gateway, GatewaySettings, Prices, PushPolicy, RepositoryAccess, Workflows};

pub(super) const TOKEN: &str = "ghp_never_in_a_sandbox";

pub(super) struct World {
    pub(super) forge: Forge,
    directory: TempDir,
    pub(super) sandbox: Arc<SandboxGateway>,
    port: u16,
}

impl World {
    pub(super) async fn start(workflows: Workflows) -> World {
        let seed =
            Seed::new("", &[("a", "1\n"), (".github/workflows/ci.yml", "on: push\n"), (".github/CODEOWNERS", "")])
                .with(SeedEntry::program("run.sh", "#!/bin/sh\n"));
        Self::with(workflows, &seed).await
    }

    /// With this content of the repository.
    pub(super) async fn with(workflows: Workflows, seed: &Seed) -> World {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = vec![Token::full(TOKEN, "dev")];
        let forge = Forge::serve(listener, directory.path().join("repositories"), tokens).unwrap();
        let base = forge.create_repository("acme/api", seed).await.unwrap();
        for name in ["acme/part", "acme/other"] {
            forge.create_repository(name, &Seed::new("", &[("a", "1\n")])).await.unwrap();
        }
        let settings = GitHubSettings {
            url: forge.url().parse().unwrap(),
            api_url: forge.api_url().parse().unwrap(),
            credential: GitHubCredential::Token(TOKEN.into()),
            network: NetworkAccess::default(),
        };
        let access = RepositoryAccess {
            github: GitHub::new(settings).unwrap(),
            name: "acme/api".parse().unwrap(),
            submodules: vec!["acme/part".parse().unwrap()],
            push: PushPolicy { branch: "claude/1".to_owned(), made: BTreeSet::new() },
            base: "main".to_owned(),
            known: vec![base],
            workflows,
        };
        let (sandbox, port) = serve(access).await;
        World { forge, directory, sandbox, port }
    }

    /// Runs a shell in which git finds the forge at the gateway.
    pub(super) async fn shell(&self, script: &str) -> Output {
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

    pub(super) async fn works(&self, script: &str) {
        let output = self.shell(script).await;
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a script that has to fail, and returns git's error message.
    pub(super) async fn refused(&self, script: &str) -> String {
        let output = self.shell(script).await;
        assert!(!output.status.success(), "{script} worked");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The refs of the repository at the forge, each with its commit.
    pub(super) async fn references(&self) -> String {
        let path = self.forge.repository_path("acme/api");
        let mut git = Command::new("git");
        git.args(["for-each-ref", "--format=%(refname)"]).current_dir(path);
        let output = tokio::task::spawn_blocking(move || git.output().unwrap()).await.unwrap();
        String::from_utf8(output.stdout).unwrap().replace('\n', " ").trim_end().to_owned()
    }
}

impl World {
    /// Runs a shell in the repository at the forge.
    pub(super) async fn at_the_forge(&self, script: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(self.forge.repository_path("acme/api"));
        for name in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{name}_NAME"), "dev").env(format!("GIT_{name}_EMAIL"), "dev@acme.test");
        }
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) async fn references_with_commits(&self) -> String {
        self.at_the_forge("git for-each-ref --format='%(refname:short) %(objectname)'").await
    }

    pub(super) async fn main(&self) -> String {
        self.at_the_forge("git rev-parse main").await.trim_end().to_owned()
    }
}

/// A gateway for one sandbox, on a port instead of in its container.
async fn serve(access: RepositoryAccess) -> (Arc<SandboxGateway>, u16) {
    let settings = GatewaySettings::new(Url::parse("http://127.0.0.1:9").unwrap(), Prices::load(None).unwrap());
    let tracker = TaskTracker::new();
    let gateway = Gateway::new(settings, Credentials::new(None, None), tracker.clone()).unwrap();
    let sandbox = gateway.open();
    sandbox.set_repository(access);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = Arc::clone(&sandbox);
    tracker.clone().spawn(async move {
        let _gateway = gateway;
        while let Ok((stream, _)) = listener.accept().await {
            tracker.spawn(Arc::clone(&served).serve(stream));
        }
    });
    (sandbox, port)
}
