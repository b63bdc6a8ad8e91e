//! A separate container engine on its own small disk, which a scenario can stop, kill, freeze and fill without affecting other
//! tests. Needs root, `dockerd`, `mkfs.ext4` and loop devices.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::bounds::{PACE, within};
use crate::support::environment::agent_image;

/// The size of the engine's disk: enough for the agent image and little more.
const DISK: &str = "2500M";

pub(crate) struct OwnEngine {
    directory: TempDir,
    process: Option<Child>,
}

impl OwnEngine {
    /// Starts an engine that has the agent image.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("cre-").tempdir_in("/tmp").unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::create_dir(path("disk")).unwrap();
        shell(&format!(
            "truncate -s {DISK} {0}.img && mkfs.ext4 -q {0}.img && mount -o loop {0}.img {0}",
            path("disk")
        ));
        let mut engine = OwnEngine { directory, process: None };
        engine.start_again().await;
        let (image, host) = (agent_image(), engine.host());
        let load = format!("set -o pipefail; docker save {image} | docker --host {host} load --quiet");
        tokio::task::spawn_blocking(move || shell(&load)).await.unwrap();
        engine
    }

    /// Returns the value of DOCKER_HOST.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.path("disk")
    }

    pub(crate) async fn start_again(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        // The engine gets its own network: an engine without a bridge would remove the bridge of the engine on the host.
        let process = Command::new("unshare")
            .args(["--net", "dockerd"])
            .arg("--data-root")
            .arg(self.path("disk/docker"))
            .arg("--exec-root")
            .arg(self.path("exec"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .args(["--host", &self.host()])
            // Sandboxes have no network, and the rules of the host's engine must not change.
            .args(["--bridge=none", "--iptables=false", "--ip-forward=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let answers = async {
            while !answers(&self.host()).await {
                sleep(PACE).await;
            }
        };
        within("the engine answers", answers).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            kill(Pid::from_raw(process.id().cast_signed()), signal).unwrap();
        }
    }

    /// Waits for the end of an engine that was stopped.
    pub(crate) async fn ended(&mut self) {
        let mut process = self.process.take().unwrap();
        let _ = tokio::task::spawn_blocking(move || process.wait()).await;
        // A killed engine leaves these files behind, and the next one would wait for processes that do not exist.
        for stale in ["pid", "exec/containerd/containerd.pid"] {
            let _ = std::fs::remove_file(self.path(stale));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = Pid::from_raw(process.id().cast_signed());
            // SIGTERM makes the engine stop its containers too.
            let _ = (kill(id, Signal::SIGCONT), kill(id, Signal::SIGTERM));
            let _ = process.wait();
        }
        // Kills the orphans of a killed engine: its containers and their shims.
        let ours = self.path("exec").display().to_string();
        let left = format!(
            "for shim in $(pgrep --full -- '^[^ ]*containerd.* {ours}'); do
                 kill -KILL $(cat /proc/$shim/task/$shim/children) $shim
             done
             umount --lazy $(findmnt --raw --noheadings --output TARGET | grep '^{}/' | tac)",
            self.directory.path().display()
        );
        let _ = Command::new("bash").args(["-c", &left]).stderr(Stdio::null()).status();
    }
}

async fn answers(host: &str) -> bool {
    let mut command = tokio::process::Command::new("docker");
    command.args(["--host", host, "version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

fn shell(script: &str) {
    let status = Command::new("bash").args(["-ec", script]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{script}");
}
