//! The settings of a server under test.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mock_api::scripted_model::{ScriptedModel, Scripts};
use tokio::net::TcpListener;

use super::TestServer;
use crate::support::environment;

/// A server that has not been started. Other settings are those of [`TestServer::start`].
pub(crate) struct Setup {
    environment: BTreeMap<String, String>,
    template: Template,
    scripts: Scripts,
    /// Files added to the plain template.
    files: Vec<(String, Vec<u8>, u32)>,
}

enum Template {
    /// One line of instructions, one file and no schema.
    Plain,
    /// The repository's `agent/`.
    Acme,
    /// Several agents, defined by the files.
    Several,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Setup {
            environment: BTreeMap::new(),
            template: Template::Plain,
            scripts: Scripts::default(),
            files: Vec::new(),
        }
    }

    /// A setting of the server.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Uses the Acme support agent instead of a plain one.
    pub(crate) fn acme_agent(mut self) -> Self {
        self.template = Template::Acme;
        self
    }

    /// Adds a file to the plain agent's template, and so to every workspace.
    pub(crate) fn template_file(mut self, name: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.files.push((name.to_owned(), content.into(), mode));
        self
    }

    /// Adds a file of one of several agents, which replace the plain one.
    pub(crate) fn agent_file(mut self, name: &str, content: &str) -> Self {
        self.template = Template::Several;
        self.files.push((name.to_owned(), content.into(), 0o644));
        self
    }

    /// Sets the scripts that the model plays before its built-in ones, as TOML.
    pub(crate) fn scripts(mut self, toml: &str) -> Self {
        self.scripts = Scripts::parse("test.toml", toml).unwrap();
        self
    }

    /// Uses a missing image: tasks fail at once, and no container starts.
    pub(crate) fn without_image(self) -> Self {
        self.env("DOCKER_IMAGE", "claude-runner-test-of-a-missing-image")
    }

    pub(crate) async fn start(self) -> TestServer {
        let scripts = self.scripts.followed_by(Scripts::builtin().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model = ScriptedModel::new(scripts).serve(listener).unwrap();

        let directory = environment::directory("crt-");
        let template = match self.template {
            Template::Plain => plain_template(directory.path(), &self.files),
            Template::Acme => repository().join("agent"),
            Template::Several => {
                let several = directory.path().join("agents");
                put(&several, &self.files);
                several
            }
        };
        let mut environment = environment::of(directory.path(), 0);
        environment.insert("AGENT_DIR".to_owned(), template.display().to_string());
        environment.insert("ANTHROPIC_BASE_URL".to_owned(), model.url());
        environment.extend(self.environment);
        TestServer::boot(environment, directory, model).await
    }
}

fn plain_template(directory: &Path, files: &[(String, Vec<u8>, u32)]) -> PathBuf {
    let template = directory.join("agent");
    std::fs::create_dir(&template).unwrap();
    std::fs::write(template.join("AGENTS.md"), "You are the agent of a test.\n").unwrap();
    std::fs::write(template.join("note.txt"), "from the template\n").unwrap();
    put(&template, files);
    template
}

fn put(directory: &Path, files: &[(String, Vec<u8>, u32)]) {
    for (name, content, mode) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).unwrap();
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
