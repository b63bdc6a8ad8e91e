//! The engine operator's view: a container in `docker inspect`, and its first process.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::bounds::BOUND;
use crate::server::agent_image;

/// Calls the engine's socket directly, for operations that the product never uses.
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

    /// Returns the environment of the container's first process. Root reads it from a second process that has the capability to
    /// read that of any process.
    pub(crate) async fn environment_of_first_process(&self, container: &str) -> String {
        let reader = json!({
            "Image": agent_image(), "Entrypoint": ["cat", "/proc/1/environ"], "User": "0",
            // With a terminal, the output arrives without framing.
            "Tty": true,
            "HostConfig": { "PidMode": format!("container:{container}"), "CapAdd": ["SYS_PTRACE"], "NetworkMode": "none" },
        });
        let reader = self.ask(Method::POST, "/containers/create", &reader).await;
        let path = format!("/containers/{}", reader["Id"].as_str().unwrap());
        self.call(Method::POST, &format!("{path}/start"), &Value::Null).await;
        self.call(Method::POST, &format!("{path}/wait"), &Value::Null).await;
        let environment = self.call(Method::GET, &format!("{path}/logs?stdout=1"), &Value::Null).await;
        self.call(Method::DELETE, &path, &Value::Null).await;
        environment.replace('\0', "\n")
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        serde_json::from_str(&self.call(method, path, body).await).unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> String {
        let mut request = self.0.request(method, format!("http://engine/v1.41{path}"));
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }
}
