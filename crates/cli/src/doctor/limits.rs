//! Checks in a sandbox without an agent whether the engine enforces the limits.

use std::path::Path;
use std::sync::Arc;

use engine::Engine;
use sandbox::{LaunchError, LimitProof, LimitReport, ResourceSet, SandboxSettings};
use tokio_util::sync::CancellationToken;

use super::check::{Check, in_words};
use super::host::Host;

const NAME: &str = "limits";

pub(super) fn not_tried(why: &str) -> Check {
    Check::not_tried(NAME, why)
}

/// `directory` is empty, below RUNTIME_DIR. The check leaves nothing in it.
pub(super) async fn try_it(
    engine: Arc<dyn Engine>,
    settings: SandboxSettings,
    directory: &Path,
    stop: &CancellationToken,
) -> Check {
    let allowed = match &settings.limit_proof {
        LimitProof::Required { except } => except.clone(),
        LimitProof::NotRequired => ResourceSet::default(),
    };
    let host = match Host::new(engine, settings, directory).await {
        Ok(host) => host,
        Err(error) => return not_tried(&error),
    };
    let outcome = host.sandboxes.probe(stop).await;
    host.end();
    match outcome {
        Ok(report) => judge(&report, &allowed),
        // The check of the link has the remedy.
        Err(LaunchError::NotConnected(_)) => not_tried("a sandbox did not connect"),
        Err(error) => not_tried(&in_words(&error)),
    }
}

fn judge(report: &LimitReport, allowed: &ResourceSet) -> Check {
    let LimitReport { unlimited, unknown } = report;
    let refused = unlimited.without(allowed);
    if !refused.is_empty() {
        Check::fail(
            NAME,
            format!("the engine does not limit a sandbox's {refused}"),
            format!(
                "use an engine that does: a rootless one needs cgroup v2 with delegated controllers. To run without these \
                 limits, set ALLOW_UNLIMITED={unlimited}"
            ),
        )
    } else if !unlimited.is_empty() {
        Check::warn(
            NAME,
            format!("the engine does not limit a sandbox's {unlimited}, which ALLOW_UNLIMITED permits"),
            "run only agents that you trust with the whole machine",
        )
    } else if !unknown.is_empty() {
        Check::warn(
            NAME,
            format!("the runtime does not report whether a sandbox's {unknown} is limited"),
            "look at the cgroup of a running sandbox on the engine's host",
        )
    } else {
        Check::ok(NAME, "a sandbox's memory, processes and CPU are limited")
    }
}

#[cfg(test)]
mod tests {
    use sandbox::LimitReport;

    use super::super::check::Status;

    #[test]
    fn only_a_limit_that_nobody_gave_up_fails() {
        let status = |unlimited: &str, unknown: &str, allowed: &str| {
            let report = LimitReport { unlimited: unlimited.parse().unwrap(), unknown: unknown.parse().unwrap() };
            super::judge(&report, &allowed.parse().unwrap()).status
        };
        assert_eq!(status("", "", ""), Status::Ok);
        assert_eq!(status("memory,cpu", "", "memory"), Status::Fail);
        assert_eq!(status("memory", "", "memory,cpu"), Status::Warn);
        assert_eq!(status("", "cpu", ""), Status::Warn);
    }
}
