//! The probe: a sandbox without an agent that shows, before the first task, that a sandbox reaches its link and that the
//! engine holds its limits. A rootless engine may ignore limits without an error, an engine elsewhere does not have the
//! link's directory, and some runtimes cannot connect to a socket of the host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::session::SessionKey;
use engine::{ContainerId, ContainerSpec, Labels, Mount, Network};
use gateway::SandboxGateway;
use link::{Link, LinkOutput};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::launch::LaunchError;
use super::launch_record::LaunchHealth;
use super::limits::{LimitReport, Resource, ResourceSet, SCRIPT, judge};
use super::process::{Process, ProcessEnd};
use super::{Sandbox, SandboxHost, SandboxImage, SandboxName};

/// The time that `sandbox-init` tries to connect. A working link takes milliseconds. Afterwards the container ends, and its log
/// has the reason.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum length of the container's log in an error, in bytes.
const LOG_BYTES: usize = 300;

/// The pauses between two probes while launches fail. The pause doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The proof that is required before the first launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitProof {
    /// A probe must show that the limits hold, except those of these resources (ALLOW_UNLIMITED).
    Required { except: ResourceSet },
    /// No probe is started. For engines in memory.
    NotRequired,
}

impl SandboxHost {
    /// Returns once a probe has shown that sandboxes can be started and their limits hold. It runs at the first call, and again
    /// after each failure.
    pub(crate) async fn prove_limits(&self, cancel: &CancellationToken) -> Result<(), LaunchError> {
        let LimitProof::Required { except } = &self.settings.limit_proof else { return Ok(()) };
        let proof = self.probed.get_or_try_init(|| async {
            let outcome = self.probe(cancel).await.and_then(|report| {
                let refused = report.unlimited.without(except);
                if refused.is_empty() { Ok(report) } else { Err(LaunchError::Unlimited(report.unlimited)) }
            });
            self.launches.probed(outcome.as_ref().map(|_| ()));
            let report = outcome?;
            info!("a probe sandbox has started and connected");
            if !report.unlimited.is_empty() {
                warn!(
                    resources = %report.unlimited,
                    "the engine does not limit these resources of a sandbox, which ALLOW_UNLIMITED permits"
                );
            }
            if !report.unknown.is_empty() {
                warn!(
                    resources = %report.unknown,
                    "the runtime does not report whether these resources of a sandbox are limited"
                );
            }
            Ok(report)
        });
        proof.await.map(drop)
    }

    /// The result of the probe. `None` while there is none.
    pub fn limit_report(&self) -> Option<&LimitReport> {
        self.probed.get()
    }

    /// Returns the health of launches, from the last ones.
    pub fn launch_health(&self) -> LaunchHealth {
        self.launches.health()
    }

    /// Probes at the start, and while launches fail. So a failure is known before the first task, and its end is noticed
    /// without a task. Ends with `shutdown`.
    pub async fn watch_launches(&self, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = if self.probed.initialized() {
                // The limits are proven. This probe only shows whether launches work.
                let outcome = self.probe(&shutdown).await.map(drop);
                self.launches.probed(outcome.as_ref().copied());
                outcome
            } else {
                self.prove_limits(&shutdown).await
            };
            let waited = match outcome {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    shutdown.run_until_cancelled(self.launches.until_failed()).await
                }
                Err(LaunchError::Cancelled) => return,
                Err(error) => {
                    warn!(error = domain::error_chain(&error), "the probe sandbox failed; tasks may fail to start");
                    let slept = shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    slept
                }
            };
            if waited.is_none() {
                return;
            }
        }
    }

    /// Starts a probe sandbox and removes it.
    pub async fn probe(&self, cancel: &CancellationToken) -> Result<LimitReport, LaunchError> {
        let name = self.new_name();
        let key = SessionKey::generate();
        let outcome = self.within_bounds(&name, key, cancel, self.start_probe(&name, key)).await;
        let report = match outcome {
            Ok((sandbox, output)) => {
                // The container runs on. An engine that cannot measure it leaves the question to the sandbox's own answer.
                let usage = self.engine.usage(&sandbox.container).await.ok().flatten().unwrap_or_default();
                let report = judge(self.settings.limits, &output, usage, self.settings.runtime.is_some());
                self.take_down(&name).await.map_err(LaunchError::Engine).map(|()| report)
            }
            Err(error) => Err(error),
        };
        self.remove_bare_home(key).await;
        report
    }

    async fn start_probe(&self, name: &SandboxName, key: SessionKey) -> Result<(Sandbox, String), LaunchError> {
        self.remove_suspected_orphans().await;
        let wanted =
            BareContainer { labels: self.instance.probe_labels(name), mount: None, connect_timeout: CONNECT_TIMEOUT };
        let (container, attached) = self.start_bare(name, key, wanted).await?;
        let process = Process::new(attached.output, self.watch(&container));
        let mut sandbox = Sandbox {
            name: name.clone(),
            container,
            image: SandboxImage { name: self.settings.image.clone(), id: None, claude_code: None },
            link: attached.link,
            process,
            gateway: attached.gateway,
            resumed: false,
            model: String::new(),
            asks: false,
            repairs: Vec::new(),
        };
        match sandbox.run("/", "/bin/sh", &["-c", SCRIPT], &[]).await {
            Ok(finished) => Ok((sandbox, finished.stdout)),
            Err(LaunchError::Ended(ProcessEnd::ContainerExited { .. })) => {
                let log = self.engine.logs(&sandbox.container, LOG_BYTES).await.unwrap_or_default();
                let (network, runtime) = (self.settings.network, self.settings.runtime.as_deref());
                Err(LaunchError::NotConnected(not_connected(&log, network, runtime)))
            }
            Err(error) => Err(error),
        }
    }
}

/// A container with `sandbox-init` and a link, without an agent and its home.
pub(super) struct BareContainer {
    pub(super) labels: Labels,
    pub(super) mount: Option<Mount>,
    /// The time that `sandbox-init` tries to connect before its container ends.
    pub(super) connect_timeout: Duration,
}

/// The coordinator's end of a bare container.
pub(super) struct BareLink {
    pub(super) link: Link,
    pub(super) output: LinkOutput,
    pub(super) gateway: Arc<SandboxGateway>,
}

impl SandboxHost {
    /// Starts a bare container. `key` names the home that it gets if it needs one.
    pub(super) async fn start_bare(
        &self,
        name: &SandboxName,
        key: SessionKey,
        wanted: BareContainer,
    ) -> Result<(ContainerId, BareLink), LaunchError> {
        let gateway = self.gateway.open();
        let attached = self.links.attach(name, self.settings.orphan_ttl, Arc::clone(&gateway))?;
        let mut mounts = attached.mounts.clone();
        mounts.extend(wanted.mount);
        if attached.token_archive.is_some() {
            // The token's directory must be writable. Nothing else needs a home.
            let [_, home] = self.instance.volumes(key, &[]);
            self.engine.create_volume(&home.name, &home.labels).await?;
            mounts.push(Mount::Volume { name: home.name, target: home.target.to_owned() });
        }
        let spec = ContainerSpec {
            name: name.container(),
            image: self.settings.image.clone(),
            labels: wanted.labels,
            entry_point: None,
            command: Vec::new(),
            environment: BTreeMap::from([
                ("LINK".to_owned(), attached.address.clone()),
                ("ORPHAN_TTL_MS".to_owned(), wanted.connect_timeout.as_millis().to_string()),
            ]),
            mounts,
            network: self.settings.network,
            limits: self.settings.limits,
            runtime: self.settings.runtime.clone(),
            shared_directory: self.links.shared_directory(),
        };
        let container = self.engine.create_container(&spec).await?;
        if let Some(archive) = attached.token_archive.clone() {
            self.engine.upload(&container, super::links::TOKEN_DIRECTORY, archive.into()).await?;
        }
        self.engine.start(&container).await?;
        Ok((container, BareLink { link: attached.link, output: attached.output, gateway }))
    }

    /// Removes the home of a bare container that was removed.
    pub(super) async fn remove_bare_home(&self, key: SessionKey) {
        if self.settings.network == Network::Bridge
            && let Err(error) = self.remove_volumes(key).await
        {
            warn!(%error, "could not remove the volume of a sandbox without a session; it will be removed as an orphan");
        }
    }
}

/// The remedy for a `sandbox-init` that did not connect to its link, from its log.
pub fn connection_advice(log: &str, network: Network, runtime: Option<&str>) -> String {
    let has = |text: &str| log.contains(text);
    let advice = match (network, runtime) {
        (Network::Bridge, _) => "sandboxes must reach this machine by TCP: check its firewall",
        (Network::None, Some(runtime)) if has("Connection refused") || has("Operation not permitted") => {
            return format!(
                "the runtime {runtime} does not let a sandbox connect to a socket of the host. gVisor does with \"runtimeArgs\": \
                 [\"--host-uds=open\"] in the engine's daemon.json"
            );
        }
        (Network::None, _) if has("Permission denied") => {
            "SELinux or AppArmor forbids it: allow containers to connect to sockets of this program"
        }
        (Network::None, _) if has("No such file") => {
            "the engine does not have the directory (RUNTIME_DIR): it runs on another machine, in a virtual machine or in another \
             container. Run Claude Runner where the engine runs, or mount the directory at the same path on both sides"
        }
        (Network::None, _) => {
            "the engine does not share sockets with this machine, as in a virtual machine: run Claude Runner where the engine \
             runs, or set SANDBOX_NETWORK=bridge"
        }
    };
    advice.to_owned()
}

/// The log of a `sandbox-init` that did not connect, in one line, and the remedy.
fn not_connected(log: &str, network: Network, runtime: Option<&str>) -> String {
    let advice = connection_advice(log, network, runtime);
    let log = log.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}: {advice}", if log.is_empty() { "its log is empty" } else { &log })
}

/// Names the settings of resources in a sentence: `memory (SANDBOX_MEMORY) and cpu (SANDBOX_CPUS)`.
pub(super) fn in_words(resources: &ResourceSet) -> String {
    let named = Resource::ALL.into_iter().filter(|resource| resources.contains(*resource));
    let named: Vec<String> = named.map(|resource| format!("{resource} ({})", resource.setting())).collect();
    match named.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_advice() {
        let said = |log, runtime| not_connected(log, Network::None, runtime);
        let refused = "sandbox-init: could not connect to the coordinator: Connection refused (os error 111)\n";
        assert!(said(refused, Some("runsc")).contains("--host-uds=open"));
        assert!(said(refused, None).contains("SANDBOX_NETWORK=bridge"));
        assert!(said("… Permission denied (os error 13)", None).contains("SELinux"));
        let missing = said("… No such file or directory (os error 2)", None);
        assert!(missing.contains("RUNTIME_DIR") && missing.contains("another machine"), "{missing}");
        assert!(said("", None).starts_with("its log is empty"));
        assert!(not_connected(refused, Network::Bridge, None).contains("firewall"));
    }

    #[test]
    fn resources_are_named_with_their_settings() {
        let set = "memory,cpu".parse().unwrap();
        assert_eq!(in_words(&set), "memory (SANDBOX_MEMORY) and cpu (SANDBOX_CPUS)");
    }
}
