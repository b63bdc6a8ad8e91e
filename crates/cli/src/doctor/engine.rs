//! The container engine.

use engine::{EngineError, EngineInfo};

use super::check::{Check, in_words};
use super::runc;

/// The API version of Docker 20.10, the oldest supported one.
const OLDEST_API: (u32, u32) = (1, 41);

/// `runtime` is the value of SANDBOX_RUNTIME.
pub(super) fn look(address: &str, runtime: Option<&str>, found: &Result<EngineInfo, EngineError>) -> Vec<Check> {
    let info = match found {
        Ok(info) => info,
        Err(error) => return unreachable(error),
    };
    let version = if info.version.is_empty() { "unknown" } else { &info.version };
    let mut checks = vec![
        Check::ok(
            "engine",
            format!("{} {version} at {address}, {} on {}", info.product, info.storage_driver, info.architecture),
        ),
        api(&info.api_version),
        cgroup(&info.cgroup_version),
        runc::look(info.runc_version.as_deref(), info.other_oci_runtime.as_deref()),
    ];
    checks.extend(runtime.map(|runtime| oci_runtime(runtime, &info.runtimes)));
    checks
}

fn unreachable(error: &EngineError) -> Vec<Check> {
    let words = in_words(error);
    let remedy = if matches!(error, EngineError::Misconfigured { .. }) {
        "correct DOCKER_HOST, or the context that DOCKER_CONTEXT or `docker context use` has selected"
    } else if words.to_lowercase().contains("permission denied") {
        "run this as root or as a member of the engine's group (`usermod -aG docker USER`, then log in again)"
    } else {
        "install or start Docker 20.10 or newer (`systemctl start docker`) or Podman 4.3 or newer (`systemctl start \
         podman.socket`), or set DOCKER_HOST to where it listens"
    };
    let mut checks = vec![Check::fail("engine", words, remedy)];
    checks.extend(
        ["engine-api", "cgroup", "runc"]
            .map(|name| Check::warn(name, "not known while the engine does not answer", "fix the engine first")),
    );
    checks
}

fn api(version: &str) -> Check {
    match parse_api(version) {
        Some(parsed) if parsed >= OLDEST_API => Check::ok("engine-api", format!("version {version}")),
        Some(_) | None => Check::fail(
            "engine-api",
            format!("version {version:?}; at least {}.{} is needed", OLDEST_API.0, OLDEST_API.1),
            "update the engine to Docker 20.10 or newer",
        ),
    }
}

/// Parses a version, which is not a decimal number: 1.9 is older than 1.41.
fn parse_api(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn cgroup(version: &str) -> Check {
    match version {
        "2" => Check::ok("cgroup", "version 2"),
        "1" => Check::warn(
            "cgroup",
            "version 1, which still works, but newer engines and systemd drop it",
            "boot with systemd.unified_cgroup_hierarchy=1, or update the distribution",
        ),
        _ => Check::warn(
            "cgroup",
            "the engine does not report its version",
            "look at the check of the limits, and at what `docker info` reports about cgroups",
        ),
    }
}

fn oci_runtime(runtime: &str, known: &[String]) -> Check {
    if known.iter().any(|name| name == runtime) {
        return Check::ok("runtime", format!("SANDBOX_RUNTIME is {runtime}, which the engine knows"));
    }
    Check::fail(
        "runtime",
        format!("SANDBOX_RUNTIME is {runtime}, which the engine does not have; it has {}", known.join(", ")),
        "add it to `runtimes` in the engine's daemon.json, or leave SANDBOX_RUNTIME empty",
    )
}

#[cfg(test)]
mod tests;
