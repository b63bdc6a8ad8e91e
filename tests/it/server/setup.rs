//! What a server is started with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mock_api::scripted_model::{DEFAULT_KEY, ScriptedModel, Scripts};
use tokio::net::TcpListener;

use super::TestServer;

/// A server that has not been started. What is not said is as in [`TestServer::start`].
pub(crate) struct Setup {
    environment: BTreeMap<String, String>,
    template: Template,
    scripts: Scripts,
}

enum Template {
    /// Instructions of one line, one file, no schema.
    Plain,
    /// The repository's `agent/`.
    Acme,
}

/// The image that is tested.
pub(crate) fn agent_image() -> String {
    std::env::var("DOCKER_IMAGE").unwrap_or_else(|_| "claude-runner".to_owned())
}

impl Setup {
    pub(crate) fn new() -> Self {
        Setup { environment: BTreeMap::new(), template: Template::Plain, scripts: Scripts::default() }
    }

    /// A setting of the server.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts it with the Acme support agent instead of a plain one.
    pub(crate) fn acme_agent(mut self) -> Self {
        self.template = Template::Acme;
        self
    }

    /// What the model plays before its built-in scripts, as TOML.
    pub(crate) fn scripts(mut self, toml: &str) -> Self {
        self.scripts = Scripts::parse("test.toml", toml).unwrap();
        self
    }

    /// An image that is not there: tasks fail at once, and no container is started.
    pub(crate) fn without_image(self) -> Self {
        self.env("DOCKER_IMAGE", "claude-runner-test-of-a-missing-image")
    }

    pub(crate) async fn start(self) -> TestServer {
        let scripts = self.scripts.followed_by(Scripts::builtin().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model = ScriptedModel::new(scripts).serve(listener).unwrap();

        // Short, since a socket's path may have 107 bytes.
        let directory = tempfile::Builder::new().prefix("crt-").tempdir_in("/tmp").unwrap();
        let template = match self.template {
            Template::Plain => plain_template(directory.path()),
            Template::Acme => repository().join("agent"),
        };
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            // Not the tester's, where a login of Claude Code may be.
            ("HOME".to_owned(), path("home")),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("PORT".to_owned(), "0".to_owned()),
            ("DATA_DIR".to_owned(), path("data")),
            ("RUNTIME_DIR".to_owned(), path("run")),
            ("AGENT_DIR".to_owned(), template.display().to_string()),
            ("DOCKER_IMAGE".to_owned(), agent_image()),
            // Tests of these say so themselves: a container that nobody asked for costs time, and a machine's memory differs.
            ("WARM_SANDBOXES".to_owned(), "0".to_owned()),
            ("MAX_SANDBOXES".to_owned(), "100".to_owned()),
            ("ANTHROPIC_BASE_URL".to_owned(), model.url()),
            ("ANTHROPIC_API_KEY".to_owned(), DEFAULT_KEY.to_owned()),
        ]);
        environment.extend(std::env::var("DOCKER_HOST").ok().map(|host| ("DOCKER_HOST".to_owned(), host)));
        environment.extend(self.environment);
        // What is set to nothing is not set.
        environment.retain(|_, value| !value.is_empty());
        TestServer::boot(environment, directory, model).await
    }
}

fn plain_template(directory: &Path) -> PathBuf {
    let template = directory.join("agent");
    std::fs::create_dir(&template).unwrap();
    std::fs::write(template.join("AGENTS.md"), "You are the agent of a test.\n").unwrap();
    std::fs::write(template.join("note.txt"), "from the template\n").unwrap();
    template
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
