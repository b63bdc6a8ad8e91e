//! A coordinator of a scenario's own, as a process that can be killed and started again on the same data and port.

mod process;

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use container_engine::{DockerEngine, Engine as _, Labels};
use mock_api::scripted_model::{DEFAULT_KEY, ModelHandle, ScriptedModel};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::client::Client;
use crate::tally::Tally;
pub(crate) use process::Process;

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
}

/// The image that is tested.
pub(crate) fn agent_image() -> String {
    std::env::var("DOCKER_IMAGE").unwrap_or_else(|_| "claude-runner".to_owned())
}

impl Setup {
    pub(crate) fn new() -> Self {
        // Short, since a socket's path may have 107 bytes.
        let directory = tempfile::Builder::new().prefix("crf-").tempdir_in("/tmp").unwrap();
        std::fs::create_dir(directory.path().join("agent")).unwrap();
        std::fs::write(directory.path().join("agent/AGENTS.md"), "You are the agent of a test.\n").unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        // Fixed, so that clients find the next server, too.
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut environment = BTreeMap::from([
            ("WARM_SANDBOXES".to_owned(), "0".to_owned()),
            // More than any scenario has sessions.
            ("MAX_SANDBOXES".to_owned(), "1000".to_owned()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            // Not the tester's, where a login of Claude Code may be.
            ("HOME".to_owned(), path("home")),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("PORT".to_owned(), port.to_string()),
            ("DATA_DIR".to_owned(), path("data")),
            ("RUNTIME_DIR".to_owned(), path("run")),
            ("AGENT_DIR".to_owned(), path("agent")),
            ("DOCKER_IMAGE".to_owned(), agent_image()),
            ("ANTHROPIC_API_KEY".to_owned(), DEFAULT_KEY.to_owned()),
        ]);
        let inherited = ["DOCKER_HOST", "RUST_LOG"].into_iter();
        environment.extend(inherited.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))));
        Setup { environment, directory, wrapper: Vec::new() }
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

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let model = ScriptedModel::serve_builtin(listener).unwrap();
        let mut environment = self.environment;
        environment.insert("ANTHROPIC_BASE_URL".to_owned(), model.url());
        let mut program = self.wrapper;
        program.extend([own_program(self.directory.path()).display().to_string(), "serve".to_owned()]);
        let engine = match environment.get("DOCKER_HOST") {
            Some(host) => DockerEngine::new(host.clone()),
            None => DockerEngine::from_environment(),
        };
        let process = Process::spawn(&program, &environment, self.directory.path());
        let tally = Tally::default();
        let directory = self.directory;
        let mut server = Server { model, tally, process, program, environment, directory, engine, finished: false };
        server.until_it_listens().await;
        server
    }
}

/// The program that was built along, or FAULTS_PROGRAM. A build in the meantime must not change it while it is killed and
/// started.
fn own_program(directory: &Path) -> PathBuf {
    let program = directory.join("claude-runner");
    let built = std::env::var_os("FAULTS_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_claude-runner").into());
    if std::fs::hard_link(&built, &program).is_err() {
        std::fs::copy(&built, &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
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

    /// Starts it with another setting from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    fn spawn_again(&mut self) {
        self.process = Process::spawn(&self.program, &self.environment, self.directory.path());
    }

    async fn until_it_listens(&mut self) {
        assert!(self.process.listens().await, "the server did not start:\n{}", self.process.log());
    }

    /// The container in which a session runs now: the newest, where each session has one.
    pub(crate) async fn containers(&self) -> Vec<String> {
        let containers = self.engine.list_containers(&self.labels()).await.unwrap();
        containers.into_iter().map(|container| container.id.to_string()).collect()
    }

    fn labels(&self) -> Labels {
        let instance = std::fs::read_to_string(self.directory.path().join("data/instance")).unwrap_or_default();
        Labels::from([("claude-runner.instance".to_owned(), instance.trim().to_owned())])
    }

    /// Deletes all sessions, asserts that nothing is left of them in the engine, and stops the server.
    pub(crate) async fn finish(mut self) {
        let client = self.client();
        for session in client.get("/sessions").await.as_array().unwrap() {
            client.delete(session["sessionId"].as_str().unwrap()).await;
        }
        assert_eq!(self.containers().await, [] as [String; 0], "containers are left");
        assert_eq!(self.engine.list_volumes(&self.labels()).await.unwrap(), [] as [String; 0], "volumes are left");
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
        let labels = self.labels();
        let host = self.environment.get("DOCKER_HOST").cloned();
        // A runtime cannot be blocked from inside another one.
        let _ = std::thread::spawn(move || sweep(&labels, host)).join();
    }
}

/// Removes what a failed scenario left in the engine.
fn sweep(labels: &Labels, host: Option<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = host.map_or_else(DockerEngine::from_environment, DockerEngine::new);
        for container in engine.list_containers(labels).await.unwrap_or_default() {
            let _ = engine.remove_container(&container.id).await;
        }
        for volume in engine.list_volumes(labels).await.unwrap_or_default() {
            let _ = engine.remove_volume(&volume).await;
        }
    });
}

/// The engine's own client, for what an operator would do by hand.
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
