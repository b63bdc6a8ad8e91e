//! What only an operator of the engine can see: a container as `docker inspect` shows it, and the inside of one as root.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::bounds::BOUND;

/// Speaks to the engine's socket directly, for what the product never asks of an engine.
pub(crate) struct EngineApi(Client);

impl EngineApi {
    pub(crate) fn new() -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let socket = host.strip_prefix("unix://").expect("these checks need an engine on a Unix socket").to_owned();
        EngineApi(Client::builder().unix_socket(socket).timeout(BOUND).build().unwrap())
    }

    pub(crate) async fn inspect(&self, container: &str) -> Value {
        self.ask(Method::GET, &format!("/containers/{container}/json"), &Value::Null).await
    }

    /// Runs a shell command in the container as root with all capabilities: what it wrote.
    pub(crate) async fn as_root(&self, container: &str, script: &str) -> String {
        let exec = json!({
            "Cmd": ["sh", "-c", script], "User": "0", "Privileged": true,
            // A terminal, so that the output comes as it is and not in frames.
            "Tty": true, "AttachStdout": true, "AttachStderr": true,
        });
        let exec = self.ask(Method::POST, &format!("/containers/{container}/exec"), &exec).await;
        let path = format!("/exec/{}/start", exec["Id"].as_str().unwrap());
        let start = json!({ "Detach": false, "Tty": true });
        let answer = self.0.post(format!("http://engine/v1.41{path}")).json(&start).send().await.unwrap();
        let bytes = answer.error_for_status().unwrap().bytes().await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.0.request(method, format!("http://engine/v1.41{path}"));
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }
}
