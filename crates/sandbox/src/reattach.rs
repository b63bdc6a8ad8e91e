//! Reattaches to a sandbox that an earlier coordinator left running.

use std::sync::Arc;
use std::time::Duration;

use domain::session::{SandboxRecord, SessionKey};
use engine::ContainerId;
use failpoint::failpoint;
use gateway::RepositoryAccess;
use link::ResumeState;
use sandbox_link::frame::LinkSecret;
use secrecy::ExposeSecret;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::process::Process;
use super::{LaunchError, Sandbox, SandboxHost, SandboxImage, SandboxName};

/// The time that a sandbox has to reconnect. It tries twice a second.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);

impl SandboxHost {
    /// Binds the sandbox's sockets again and waits for its `sandbox-init`, which has kept the agent's output. If it
    /// does not return, the caller removes the sandbox. `repository` is the access of the sandbox's git.
    pub async fn reattach(
        &self,
        session: SessionKey,
        record: SandboxRecord,
        repository: Option<RepositoryAccess>,
        cancel: CancellationToken,
    ) -> Result<Sandbox, LaunchError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(LaunchError::Cancelled),
            outcome = timeout(RETURN_TIMEOUT, self.reattach_now(session, record, repository)) => outcome.unwrap_or(Err(LaunchError::Timeout)),
        }
    }

    async fn reattach_now(
        &self,
        session: SessionKey,
        record: SandboxRecord,
        repository: Option<RepositoryAccess>,
    ) -> Result<Sandbox, LaunchError> {
        let name = SandboxName::from_record(&record.name);
        let container = ContainerId::new(record.container_id);
        let gateway = self.gateway.open();
        // The gateway holds requests until it knows their payer.
        gateway.hold_requests();
        let in_repository = repository.is_some();
        if let Some(repository) = repository {
            gateway.set_repository(repository);
        }
        let secret = LinkSecret::new(record.link_secret.expose_secret().to_owned());
        let resume = ResumeState { secret, last_received: record.last_frame };
        let attached = self.links.reattach(&name, resume, self.settings.orphan_ttl, Arc::clone(&gateway))?;
        failpoint!("takeover.bound");
        let Some((link, output)) = attached else {
            return Err(LaunchError::Refused(
                "with SANDBOX_NETWORK=bridge, sandboxes do not survive a restart of the server".to_owned(),
            ));
        };
        let mut process = Process::new(output, self.watch(&container)).after_frame(record.last_frame);
        let mut connected = link.connected();
        let returned = async {
            tokio::select! {
                _ = connected.wait_for(|connected| *connected) => Ok(()),
                end = process.container_ended() => Err(LaunchError::Ended(end)),
            }
        };
        let (returned, image) = tokio::join!(returned, self.image_of_earlier(&container));
        returned?;
        // The image of repository tasks is another one, and its sandboxes are never used again.
        let image = if in_repository { SandboxImage { id: None, ..image } } else { image };
        failpoint!("takeover.connected");
        self.links_of_sessions.set(session, &link);
        Ok(Sandbox {
            name,
            container,
            image,
            link,
            process,
            gateway,
            resumed: true,
            repairs: Vec::new(),
            model: String::new(),
            // The session knows it.
            asks: false,
        })
    }
}
