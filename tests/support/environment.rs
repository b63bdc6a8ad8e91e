//! The settings that every server under test has.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use mock_api::scripted_model::DEFAULT_KEY;

/// The image that is tested.
pub(crate) fn agent_image() -> String {
    std::env::var("DOCKER_IMAGE").unwrap_or_else(|_| "claude-runner".to_owned())
}

/// The settings of a server that has all that it needs below `directory`, but for a model and an agent template. Port 0
/// is any.
pub(crate) fn of(directory: &Path, port: u16) -> BTreeMap<String, String> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        // Not the tester's, where a login of Claude Code may be.
        ("HOME".to_owned(), path("home")),
        ("NO_COLOR".to_owned(), "1".to_owned()),
        ("PORT".to_owned(), port.to_string()),
        ("DATA_DIR".to_owned(), path("data")),
        ("RUNTIME_DIR".to_owned(), path("run")),
        ("DOCKER_IMAGE".to_owned(), agent_image()),
        // Tests of these say so themselves: a container that nobody asked for costs time, and a machine's memory
        // differs.
        ("WARM_SANDBOXES".to_owned(), "0".to_owned()),
        // More than any scenario has sessions.
        ("MAX_SANDBOXES".to_owned(), "1000".to_owned()),
        ("ANTHROPIC_API_KEY".to_owned(), DEFAULT_KEY.to_owned()),
    ]);
    let inherited = ["DOCKER_HOST", "RUST_LOG"].into_iter();
    environment.extend(inherited.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))));
    environment
}

/// A directory for it. Short, since a socket's path may have 107 bytes.
pub(crate) fn directory(prefix: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap()
}

/// A port that stays free while no server listens on it. None of those that the kernel hands out by itself (from 32768
/// on, see `ip_local_port_range`): a connection of any program could have it in the meantime.
pub(crate) fn port_for_long() -> u16 {
    loop {
        let port = rand::random_range(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
