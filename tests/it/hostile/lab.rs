//! An isolated network in which every address belongs to a sink and the test answers every name. The server runs in it, so a broken
//! control is visible at the sink and reaches nothing else.

mod names;
mod sink;
mod tap;

use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

pub(super) use names::Names;
pub(super) use sink::{Sink, TCP_PORTS, UDP_PORTS};
pub(super) use tap::{ATTACKERS_KEY, Tap};

/// The server's own port. The network is empty, so the port is free.
pub(super) const OWN_PORT: u16 = 3456;
/// The only outside host that may be reached, with its port.
pub(super) const ALLOWED: &str = "93.184.216.34:8080";

pub(super) struct Lab {
    pub(super) sink: Sink,
    pub(super) names: Names,
    pub(super) tap: Tap,
    _files: TempDir,
}

impl Lab {
    /// Moves this thread and its later children into the network. Needs root.
    pub(super) async fn enter() -> Lab {
        let files = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("only root can make a network namespace");
        let nothing: Option<&str> = None;
        // Later mounts are invisible outside.
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let resolver = files.path().join("resolv.conf");
        std::fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n").unwrap();
        mount(Some(&resolver), "/etc/resolv.conf", nothing, MsFlags::MS_BIND, nothing).unwrap();
        // All addresses belong to this network.
        for command in [
            "link set lo up",
            "route add local default dev lo",
            "-6 route add local ::/0 dev lo",
            "-6 route add local fe80::/10 dev lo",
            "-6 route add local ff00::/8 dev lo table local",
        ] {
            let done = Command::new("ip").args(command.split(' ')).output().unwrap();
            assert!(done.status.success(), "ip {command}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Lab { sink: Sink::open().await, names: Names::open().await, tap: Tap::open().await, _files: files }
    }

    /// Returns the number of hits that must not happen: connections, bytes, packets, look-ups, and requests with the attacker's
    /// key.
    pub(super) fn hits(&self) -> u64 {
        self.sink.hits() + self.names.hits() + self.tap.hits()
    }
}
