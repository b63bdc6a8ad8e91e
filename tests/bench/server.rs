//! The measured coordinator as a separate process, with a scripted model in this process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coordinator::config::docker_host;
use engine::{Engine as _, Labels};
use engine_docker::DockerEngine;
use mock_api::scripted_model::{DEFAULT_KEY, ModelHandle, ScriptedModel};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The time after which a step has failed. Every step takes less.
const BOUND: Duration = Duration::from_mins(5);

/// The instructions of every agent of the benchmarks, with and without the coordinator.
pub(crate) const INSTRUCTIONS: &str = "You are the agent of a benchmark.";

pub(crate) struct Server {
    pub(crate) model: ModelHandle,
    pub(crate) http: reqwest::Client,
    environment: Vec<(String, String)>,
    child: Child,
    address: String,
    directory: TempDir,
}

/// The agent image.
pub(crate) fn image() -> String {
    std::env::var("DOCKER_IMAGE").unwrap_or_else(|_| "claude-runner".to_owned())
}

impl Server {
    /// Starts a server with these settings over the usual ones.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let model = ScriptedModel::serve_builtin(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        // The path is short because a socket's path may have at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("crb-").tempdir_in("/tmp").unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::create_dir(path("agent")).unwrap();
        std::fs::write(path("agent/AGENTS.md"), INSTRUCTIONS).unwrap();
        let mut environment: Vec<(String, String)> = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", path("home")),
            ("NO_COLOR", "1".to_owned()),
            ("RUST_LOG", "warn,coordinator=info".to_owned()),
            ("PORT", "0".to_owned()),
            ("DATA_DIR", path("data")),
            ("RUNTIME_DIR", path("run")),
            ("AGENT_DIR", path("agent")),
            ("DOCKER_IMAGE", image()),
            ("ANTHROPIC_BASE_URL", model.url()),
            ("ANTHROPIC_API_KEY", DEFAULT_KEY.to_owned()),
            ("MAX_SANDBOXES", "1000".to_owned()),
            ("WARM_SANDBOXES", "0".to_owned()),
            ("RATE_LIMIT", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(std::env::var("DOCKER_HOST").ok().map(|host| ("DOCKER_HOST".to_owned(), host)));
        environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (child, address) = spawn(&environment, directory.path()).await;
        let mut headers = HeaderMap::new();
        if let Some((_, key)) = settings.iter().find(|(name, _)| *name == "API_KEYS") {
            headers.insert(AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
        }
        let http = reqwest::Client::builder().default_headers(headers).timeout(BOUND).build().unwrap();
        Server { model, http, environment, child, address, directory }
    }

    /// Stops the server and starts it again on the same data. Returns the milliseconds until it listened.
    pub(crate) async fn restart(&mut self) -> f64 {
        self.end();
        let begin = Instant::now();
        (self.child, self.address) = spawn(&self.environment, self.directory.path()).await;
        milliseconds(begin.elapsed())
    }

    /// Kills the server and starts it again on the same data. Returns the milliseconds from the start until it listened.
    pub(crate) async fn kill_and_restart(&mut self) -> f64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let begin = Instant::now();
        (self.child, self.address) = spawn(&self.environment, self.directory.path()).await;
        milliseconds(begin.elapsed())
    }

    /// Creates a key and waits until the server knows it.
    pub(crate) async fn make_key(&self, arguments: &[&str]) -> String {
        let made = Command::new(program())
            .args(["key", "create"])
            .args(arguments)
            .env_clear()
            .env("DATA_DIR", self.data_dir())
            .current_dir("/")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let end = Instant::now() + BOUND;
        while !self
            .http
            .get(self.url("http", "/sessions"))
            .bearer_auth(&key)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
        {
            assert!(Instant::now() < end, "the server never knew the key");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        key
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `ws` or `http`.
    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url("http", path)).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// Posts a task and waits for its answer, which must be a success.
    pub(crate) async fn task(&self, session: &str, message: &str) -> Value {
        let body = json!({ "sessionId": session, "message": message });
        let answer = self.http.post(self.url("http", "/task")).json(&body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{answer:#}");
        answer
    }

    /// Posts a task without waiting for its end.
    pub(crate) async fn enqueue(&self, session: &str, message: &str) {
        let body = json!({ "sessionId": session, "message": message, "async": true });
        self.http.post(self.url("http", "/task")).json(&body).send().await.unwrap().error_for_status().unwrap();
    }

    pub(crate) async fn delete_session(&self, session: &str) {
        let gone = self.http.delete(self.url("http", &format!("/session/{session}"))).send().await.unwrap();
        gone.error_for_status().unwrap();
    }

    /// Repeats a request until `fits` accepts the answer.
    pub(crate) async fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) {
        let end = Instant::now() + BOUND;
        while !fits(&self.get(path).await) {
            assert!(Instant::now() < end, "{path} never reached the expected state");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Returns the CPU seconds that the server used.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }

    pub(crate) async fn stop(mut self) {
        self.end();
        // Sessions keep their volumes when the server stops, but this data directory is deleted.
        let instance = std::fs::read_to_string(self.data_dir().join("instance")).unwrap();
        let labels = Labels::from([("claude-runner.instance".to_owned(), instance)]);
        let engine = DockerEngine::new(docker_host().unwrap());
        for container in engine.list_containers(&labels).await.unwrap() {
            engine.remove_container(&container.id).await.unwrap();
        }
        for volume in engine.list_volumes(&labels).await.unwrap() {
            engine.remove_volume(&volume.name).await.unwrap();
        }
    }

    fn end(&mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> OsString {
    std::env::var_os("BENCH_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_claude-runner").into())
}

#[expect(clippy::zombie_processes, reason = "who gets it waits for it; a panic ends this process too")]
async fn spawn(environment: &[(String, String)], directory: &Path) -> (Child, String) {
    let log = directory.join("log");
    let file = std::fs::File::create(&log).unwrap();
    let child = Command::new(program())
        .arg("serve")
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stderr(file)
        .spawn()
        .unwrap();
    let end = Instant::now() + BOUND;
    loop {
        let said = std::fs::read_to_string(&log).unwrap();
        let address = said.split_once("listening address=").and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(address) = address.filter(|_| said.ends_with('\n')) {
            return (child, address.to_owned());
        }
        assert!(Instant::now() < end, "the server did not start:\n{said}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// proc_pid_stat(5): fields 14 and 15, in ticks of 1/100 s.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
