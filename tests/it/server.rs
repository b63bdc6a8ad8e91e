//! A separate coordinator for each test: a process with its own data, sockets, model and agent template.

mod client;
mod setup;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use coordinator::config::docker_host;
use engine::{ContainerId, ContainerSummary, Engine as _, Labels};
use engine_docker::DockerEngine;
use mock_api::scripted_model::ModelHandle;
use nix::sys::signal::Signal;
use tempfile::TempDir;

pub(crate) use client::{Answer, printed};
pub(crate) use setup::Setup;

use crate::bounds::within;
pub(crate) use crate::support::environment::agent_image;
pub(crate) use crate::support::process::Process;
use crate::support::{orphans, process};

/// A running server. A test ends with [`TestServer::finish`]; one that fails shows the server's log.
pub(crate) struct TestServer {
    pub(crate) model: ModelHandle,
    pub(crate) engine: DockerEngine,
    environment: BTreeMap<String, String>,
    directory: TempDir,
    process: Process,
    address: String,
    http: reqwest::Client,
    /// The API key of every request, if any.
    key: Option<String>,
    finished: bool,
}

impl TestServer {
    /// Starts a server with a plain agent and default settings.
    pub(crate) async fn start() -> Self {
        Setup::new().start().await
    }

    async fn boot(environment: BTreeMap<String, String>, directory: TempDir, model: ModelHandle) -> Self {
        let mut process = Process::spawn(&environment, directory.path());
        let Some(address) = process.address().await else {
            panic!("the server did not start:\n{}", process.log());
        };
        TestServer {
            model,
            engine: DockerEngine::new(docker_host().unwrap()),
            environment,
            directory,
            process,
            address: format!("http://{address}"),
            // Each request has its own connection: one whose body was refused halfway is not used again.
            http: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            key: None,
            finished: false,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Returns the directory of this server with its data, sockets and agent template.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Returns a line of /proc/PID/status, in KiB, such as `VmHWM`, the server's peak memory.
    pub(crate) fn kibibytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) async fn stop(&mut self) {
        self.terminate();
        self.ended().await;
    }

    /// Waits for the end of a server that was stopped.
    pub(crate) async fn ended(&mut self) {
        let status = self.process.ended().await;
        assert!(status.success(), "the server ended with {status}");
    }

    /// Sends SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.ended().await;
    }

    /// Ends a container like an operator, without removing it.
    pub(crate) async fn kill_container(&self, id: &ContainerId) {
        let mut docker = tokio::process::Command::new("docker");
        let status = docker.args(["kill", id.as_str()]).stdout(Stdio::null()).status().await.unwrap();
        assert!(status.success(), "docker kill {id}: {status}");
    }

    /// Starts an ended server again on the same data.
    pub(crate) async fn start_again(&mut self) {
        eprintln!("--- the server before:\n{}", self.process.log());
        self.process = Process::spawn(&self.environment, self.directory.path());
        let Some(address) = self.process.address().await else {
            panic!("the server did not start again:\n{}", self.process.log());
        };
        self.address = format!("http://{address}");
    }

    /// Waits until the log contains this text.
    pub(crate) async fn logged(&self, text: &str) {
        assert!(self.process.says(text, 1).await, "the server ended without {text:?}");
    }

    /// Returns the containers of this server's sandboxes.
    pub(crate) async fn containers(&self) -> Vec<ContainerSummary> {
        let mut containers = self.engine.list_containers(&self.labels()).await.unwrap();
        // A probe comes when the server decides.
        containers.retain(|container| !container.labels.contains_key("claude-runner.probe"));
        containers
    }

    /// Returns the only container.
    pub(crate) async fn container(&self) -> ContainerSummary {
        let [container] = <[_; 1]>::try_from(self.containers().await).expect("not one container");
        container
    }

    pub(crate) async fn volumes(&self) -> Vec<String> {
        self.engine.list_volumes(&self.labels()).await.unwrap().into_iter().map(|volume| volume.name).collect()
    }

    /// Uses an API key for all later requests.
    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Forgets a stopped server that left nothing behind.
    pub(crate) fn abandon_stopped(mut self) {
        self.finished = true;
    }

    /// Ends a server whose engine never existed, so that nothing can be deleted.
    pub(crate) async fn abandon(mut self) {
        self.stop().await;
        assert!(!self.log().contains("panicked"), "a panic in the server's log");
        self.finished = true;
    }

    /// Deletes all sessions, asserts that nothing remains of them and that all model requests were valid, and stops the server.
    pub(crate) async fn finish(mut self) {
        for session in self.get("/sessions").await.ok().as_array().unwrap() {
            let id = session["sessionId"].as_str().unwrap();
            let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
            self.delete(&format!("/session/{id}")).await.ok();
        }
        assert_eq!(self.get("/sessions").await.ok(), serde_json::json!([]));
        // Warm sandboxes exist until the server ends.
        if self.environment["WARM_SANDBOXES"] == "0" {
            self.assert_nothing_left().await;
            self.stop().await;
        } else {
            self.stop().await;
            self.assert_nothing_left().await;
        }
        assert_eq!(format!("{:?}", self.model.violations()), "[]");
        let log = self.log();
        assert!(!log.contains("panicked") && !log.contains(" ERROR "), "an error in the server's log");
        self.finished = true;
    }

    pub(crate) async fn assert_nothing_left(&self) {
        // The probe at the start has ended, or the server has.
        let _ = self.process.says("probe sandbox", 1).await;
        assert_eq!(self.containers().await, [], "containers are left");
        assert_eq!(self.volumes().await, [] as [String; 0], "volumes are left");
        // A probe follows a failed launch, and has a link directory until it ends.
        within("no link directory is left", async {
            while self.has_link_directory() && self.containers().await.is_empty() {}
        })
        .await;
        assert_eq!(self.containers().await, [], "containers are left");
    }

    fn has_link_directory(&self) -> bool {
        // The directory does not exist if sandboxes connect by TCP.
        let entries = std::fs::read_dir(self.directory.path().join("run")).into_iter().flatten();
        entries.map(Result::unwrap).any(|entry| entry.path().is_dir())
    }

    fn labels(&self) -> Labels {
        orphans::labels(self.directory.path())
    }
}

impl Process {
    /// Starts a server with exactly this environment.
    pub(crate) fn spawn(environment: &BTreeMap<String, String>, directory: &Path) -> Self {
        Self::run(&process::serve(), environment, directory)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.process.signal(Signal::SIGKILL);
        eprintln!("--- the server's log:\n{}", self.process.log());
        eprintln!("--- broken invariants of the model: {:#?}", self.model.violations());
        orphans::remove(self.labels(), None);
        assert!(std::thread::panicking(), "the test did not finish its server");
    }
}
