//! Tests access: callers, their rights, and the end of those rights. Only the test of a followed log needs a container.

mod command;
mod keys;
mod routes;
mod shares;
mod streams;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::bounds::BOUND;
use crate::server::TestServer;

pub(crate) const ADMIN: &str = "0123456789abcdef0123456789abcdef";

/// Runs `claude-runner key` on a data directory.
fn key_command(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.arg("key").args(arguments).env_clear().env("DATA_DIR", data).current_dir("/").output().unwrap()
}

fn data(server: &TestServer) -> std::path::PathBuf {
    server.directory().join("data")
}

/// Returns the key's id: the part between `crk_` and the second `_`.
fn id_of(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// Creates a key and waits until the server knows it.
pub(crate) async fn make_key(server: &TestServer, arguments: &[&str]) -> String {
    let output = key_command(&data(server), &[&["create"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let key = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    server.logged(&format!("an API key is valid key.id={}", id_of(&key))).await;
    key
}

/// Revokes a key without waiting for the effects.
pub(crate) fn revoke(server: &TestServer, key: &str) {
    let output = key_command(&data(server), &["revoke", id_of(key)]);
    assert!(output.status.success(), "{output:?}");
}

pub(crate) async fn forgotten(server: &TestServer, key: &str) {
    server.logged(&format!("an API key is no longer valid key.id={}", id_of(key))).await;
}

/// A caller with its own address, so that its wrong keys are counted separately.
pub(crate) struct Caller<'a> {
    server: &'a TestServer,
    client: Client,
    key: Option<String>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(server: &'a TestServer, address: u8, key: Option<&str>) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 1, address));
        let client = Client::builder().local_address(address).pool_max_idle_per_host(0).build().unwrap();
        Caller { server, client, key: key.map(str::to_owned) }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method, self.server.url(path)).timeout(BOUND);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str) -> crate::server::Answer {
        self.server.send(self.request(method, path)).await
    }
}

/// Returns the lines of the audit log, which only its owner may read.
pub(crate) fn audit(server: &TestServer) -> Vec<Value> {
    let path = data(server).join("audit.log");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits for a task's end, which also ends its followed log.
pub(crate) async fn ended(server: &TestServer, task: &str) {
    server.get(&format!("/task/{task}/logs?follow=1")).await.expect(200);
}
