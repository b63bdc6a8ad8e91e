//! A scenario's own coordinator process, which can be killed and started again on the same data and port.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use engine::{Engine as _, Labels};
use engine_docker::DockerEngine;
use mock_api::scripted_model::{ModelHandle, ScriptedModel};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::bounds::{PACE, within};
use crate::client::Client;
use crate::support::process::Process;
use crate::support::{environment, orphans, process};
use crate::tally::Tally;

pub(crate) struct Server {
    pub(crate) model: ModelHandle,
    pub(crate) tally: Tally,
    pub(crate) process: Process,
    program: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: TempDir,
    engine: DockerEngine,
    finished: bool,
}

/// A server that has not been started.
pub(crate) struct Setup {
    environment: BTreeMap<String, String>,
    directory: TempDir,
    wrapper: Vec<String>,
    failpoints: bool,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let directory = environment::directory("crf-");
        let template = directory.path().join("agent");
        std::fs::create_dir(&template).unwrap();
        std::fs::write(template.join("AGENTS.md"), "You are the agent of a test.\n").unwrap();
        // The port is fixed, so that clients find the next server.
        let port = environment::port_for_long();
        let mut environment = environment::of(directory.path(), port);
        environment.insert("AGENT_DIR".to_owned(), template.display().to_string());
        Setup { environment, directory, wrapper: Vec::new(), failpoints: false }
    }

    pub(crate) fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Runs the server by this shell command, in which `"$0" "$@"` is the server.
    pub(crate) fn by_shell(mut self, command: &str) -> Self {
        self.wrapper = ["/bin/bash", "-c", command].map(str::to_owned).to_vec();
        self
    }

    /// Runs the build that has failpoints, whatever FAULTS_PROGRAM says.
    pub(crate) fn with_failpoints(mut self) -> Self {
        self.failpoints = true;
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model = ScriptedModel::serve_builtin(listener).unwrap();
        let mut environment = self.environment;
        environment.insert("ANTHROPIC_BASE_URL".to_owned(), model.url());
        let built_along = process::serve();
        let other = std::env::var("FAULTS_PROGRAM").ok().filter(|_| !self.failpoints);
        let own = own_program(other.as_ref().unwrap_or(&built_along[0]), self.directory.path());
        let program = [&self.wrapper[..], &[own], &built_along[1..]].concat();
        let engine = orphans::engine(environment.get("DOCKER_HOST"));
        let process = Process::run(&program, &environment, self.directory.path());
        let tally = Tally::default();
        let directory = self.directory;
        let mut server = Server { model, tally, process, program, environment, directory, engine, finished: false };
        server.until_it_listens().await;
        server
    }
}

/// Links the program into the directory, so that a concurrent build does not replace it during the test.
fn own_program(built: &str, directory: &Path) -> String {
    let program = directory.join("claude-runner");
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    program.display().to_string()
}

impl Server {
    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("127.0.0.1:{}", self.environment["PORT"]))
    }

    pub(crate) fn docker(&self) -> Docker {
        Docker { host: self.environment.get("DOCKER_HOST").cloned() }
    }

    pub(crate) async fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.ended().await;
    }

    pub(crate) async fn start_again(&mut self) {
        self.spawn_again();
        self.until_it_listens().await;
    }

    /// Starts another server beside it, with these settings over its own.
    pub(crate) fn second(&self, settings: &[(&str, &Path)]) -> Process {
        let mut environment = self.environment.clone();
        environment.insert("PORT".to_owned(), "0".to_owned());
        environment.extend(settings.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string())));
        Process::run(&self.program, &environment, self.directory.path())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.environment["DATA_DIR"].clone().into()
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Removes a setting for the next start.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// Starts the server without waiting until it listens.
    pub(crate) fn spawn_again(&mut self) {
        self.process = Process::run(&self.program, &self.environment, self.directory.path());
    }

    pub(crate) async fn until_it_listens(&mut self) {
        assert!(self.process.address().await.is_some(), "the server did not start:\n{}", self.process.log());
    }

    /// Returns the containers of the sessions.
    pub(crate) async fn containers(&self) -> Vec<String> {
        let mut containers = self.engine.list_containers(&self.labels()).await.unwrap();
        // A probe comes when the server decides.
        containers.retain(|container| !container.labels.contains_key("claude-runner.probe"));
        containers.into_iter().map(|container| container.id.to_string()).collect()
    }

    /// Returns the server's containers and volumes in the engine.
    pub(crate) async fn left(&self) -> Vec<String> {
        let containers = self.engine.list_containers(&self.labels()).await.unwrap();
        let volumes = self.engine.list_volumes(&self.labels()).await.unwrap();
        let containers = containers.into_iter().map(|container| container.id.to_string());
        containers.chain(volumes.into_iter().map(|volume| volume.name)).collect()
    }

    /// Returns once nothing is left in the engine. The probe sandbox of a server that has just started is removed by itself.
    pub(crate) async fn nothing_is_left(&self) {
        let left = async {
            while !self.left().await.is_empty() {
                sleep(PACE).await;
            }
        };
        within("no container and no volume is left", left).await;
    }

    pub(crate) fn labels(&self) -> Labels {
        orphans::labels(self.directory.path())
    }

    /// Deletes all sessions, asserts that nothing is left of them in the engine, and stops the server.
    pub(crate) async fn finish(mut self) {
        let client = self.client();
        for session in client.get("/sessions").await.as_array().unwrap() {
            client.delete(session["sessionId"].as_str().unwrap()).await;
        }
        self.nothing_is_left().await;
        assert_eq!(format!("{:?}", self.model.violations()), "[]");
        self.process.signal(Signal::SIGTERM);
        self.process.ended().await;
        assert!(!self.process.log().contains("panicked"), "a panic in the server's log");
        self.finished = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.process.signal(Signal::SIGKILL);
        eprintln!("--- the server's log:\n{}", self.process.log());
        orphans::remove(self.labels(), self.environment.get("DOCKER_HOST").cloned());
    }
}

/// The engine's command-line client, for actions of an operator.
pub(crate) struct Docker {
    host: Option<String>,
}

impl Docker {
    /// Runs a shell command in each of these containers.
    pub(crate) async fn in_each(&self, containers: &[String], command: &str) {
        for container in containers {
            self.run(&["exec", container, "sh", "-c", command]).await;
        }
    }

    pub(crate) async fn run(&self, arguments: &[&str]) {
        let output = self.try_run(arguments).await;
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) async fn try_run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        command.args(arguments).output().await.unwrap()
    }
}
