//! The settings that every server under test has.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use mock_api::scripted_model::DEFAULT_KEY;

/// The model of tasks that name none.
pub(crate) const MODEL: &str = "claude-sonnet-4-6";

/// Returns the name of the tested image.
pub(crate) fn agent_image() -> String {
    std::env::var("DOCKER_IMAGE").unwrap_or_else(|_| "claude-runner".to_owned())
}

/// Returns the settings of a server below `directory`, except for a model and an agent template. Port 0 selects any free port.
pub(crate) fn of(directory: &Path, port: u16) -> BTreeMap<String, String> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        // The tester's own HOME may contain a login of Claude Code.
        ("HOME".to_owned(), path("home")),
        ("NO_COLOR".to_owned(), "1".to_owned()),
        ("PORT".to_owned(), port.to_string()),
        ("DATA_DIR".to_owned(), path("data")),
        ("RUNTIME_DIR".to_owned(), path("run")),
        ("DOCKER_IMAGE".to_owned(), agent_image()),
        // Tests of warm sandboxes and of the memory limit set these themselves: an unused container costs time, and machines differ
        // in memory.
        ("WARM_SANDBOXES".to_owned(), "0".to_owned()),
        // The limit exceeds the sessions of every scenario.
        ("MAX_SANDBOXES".to_owned(), "1000".to_owned()),
        // The CLI resolves its short names differently in each version, and costs depend on the model.
        ("MODEL".to_owned(), MODEL.to_owned()),
        ("ANTHROPIC_API_KEY".to_owned(), DEFAULT_KEY.to_owned()),
    ]);
    let inherited = ["DOCKER_HOST", "RUST_LOG"].into_iter();
    environment.extend(inherited.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))));
    environment
}

/// Creates the server's directory. Its path is short because a socket's path may have at most 107 bytes.
pub(crate) fn directory(prefix: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap()
}

/// Returns a port that stays free while no server listens on it. It is outside the range from which the kernel chooses ports for
/// connections (from 32768 on, see `ip_local_port_range`).
pub(crate) fn port_for_long() -> u16 {
    loop {
        let port = rand::random_range(10_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
