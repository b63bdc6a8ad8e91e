//! The probe sandbox: an engine that ignores limits, or that does not have the link's directory, is found before the first task.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use coordinator::config::docker_host;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::server::Setup;

/// Changes the body of a container's creation.
type Change = fn(&mut Value);

/// A proxy in front of the engine that changes how containers are created.
struct ChangedEngine {
    directory: TempDir,
    running: JoinHandle<()>,
}

impl ChangedEngine {
    fn start(change: Change) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = docker_host().unwrap();
        let socket = engine.strip_prefix("unix://").expect("this test needs an engine at a Unix socket");
        let client = reqwest::Client::builder().unix_socket(socket).pool_max_idle_per_host(0).build().unwrap();
        let router = Router::new().fallback(pass_on).with_state((Arc::new(client), change));
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        let running = TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap() });
        ChangedEngine { directory, running }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("engine.sock").display())
    }
}

impl Drop for ChangedEngine {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn pass_on(State((client, change)): State<(Arc<reqwest::Client>, Change)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap();
    if parts.uri.path().ends_with("/containers/create") {
        let mut created: Value = serde_json::from_slice(&body).unwrap();
        change(&mut created);
        body = serde_json::to_vec(&created).unwrap().into();
    }
    let mut headers = parts.headers;
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    let url = format!("http://engine{}", parts.uri);
    let answer = client.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}

fn without_limits(created: &mut Value) {
    let host = created["HostConfig"].as_object_mut().unwrap();
    for limit in ["Memory", "MemorySwap", "PidsLimit", "NanoCpus"] {
        host.remove(limit).unwrap();
    }
}

fn without_directories(created: &mut Value) {
    for mount in created["HostConfig"]["Mounts"].as_array_mut().unwrap() {
        if mount["Type"] == "bind" {
            mount["Source"] = format!("/not/on/this/machine{}", mount["Source"].as_str().unwrap()).into();
        }
    }
}

#[tokio::test]
async fn an_engine_that_ignores_limits_runs_no_task_unless_it_may() {
    let engine = ChangedEngine::start(without_limits);
    let server = Setup::new().env("DOCKER_HOST", engine.host()).start().await;
    let problem = server.task("s", "bash:echo ran").await.problem(503, "engine_unavailable");
    let error = problem["error"].as_str().unwrap();
    for named in ["SANDBOX_MEMORY", "SANDBOX_PIDS", "SANDBOX_CPUS", "ALLOW_UNLIMITED=memory,pids,cpu"] {
        assert!(error.contains(named), "{error}");
    }
    let ready = server.get("/ready").await.expect(503).to_string();
    assert!(ready.contains("ALLOW_UNLIMITED"), "{ready}");
    server.finish().await;

    // A part of them is not enough.
    let server = Setup::new().env("DOCKER_HOST", engine.host()).env("ALLOW_UNLIMITED", "memory,pids").start().await;
    let problem = server.task("s", "bash:echo ran").await.problem(503, "engine_unavailable");
    let error = problem["error"].as_str().unwrap();
    // The value replaces the present one.
    assert!(error.contains("ALLOW_UNLIMITED=memory,pids,cpu"), "{error}");
    server.finish().await;

    let server = Setup::new().env("DOCKER_HOST", engine.host()).env("ALLOW_UNLIMITED", "cpu,memory,pids").start().await;
    assert_eq!(server.say("s", "bash:echo ran").await, "done: ran");
    let ready = server.get("/ready").await.ok().to_string();
    assert!(ready.contains("without limits of memory,pids,cpu"), "{ready}");
    server.finish().await;
}

#[tokio::test]
async fn an_engine_elsewhere_is_told_in_plain_words() {
    let engine = ChangedEngine::start(without_directories);
    let server = Setup::new().env("DOCKER_HOST", engine.host()).env("WARM_SANDBOXES", "0").start().await;
    // No task is needed for this.
    server.logged("the probe sandbox failed").await;
    let ready = server.get("/ready").await.expect(503).to_string();
    assert!(ready.contains("runs on another machine") && ready.contains("RUNTIME_DIR"), "{ready}");
    let problem = server.task("s", "bash:echo ran").await.problem(503, "engine_unavailable");
    let error = problem["error"].as_str().unwrap();
    let directory = server.directory().join("run").display().to_string();
    assert!(error.contains(&directory) && error.contains("RUNTIME_DIR"), "{error}");
    server.finish().await;
}
