//! Archives that enter a sandbox through its link: the template, and the copy of a repository's mirror.

use std::time::Duration;

use domain::sandbox::WORKSPACE;
use engine::TarSource;
use link::{FilePlace, FilesError};
use sandbox_link::files::Bounds;
use tokio::time::timeout;

use super::{LaunchError, Sandbox};

/// The bounds of an archive that the coordinator made itself. A mirror of many gigabytes takes minutes on a slow disk.
const BOUNDS: Bounds = Bounds { bytes: u64::MAX, entries: 10_000_000, depth: 256, time_ms: 15 * 60 * 1000 };

/// The time in which the end of a container is noticed after its stream broke.
const NOTICE: Duration = Duration::from_secs(2);

impl Sandbox {
    /// Unpacks an archive in the workspace, before an agent works there.
    pub async fn unpack(&mut self, archive: TarSource) -> Result<(), LaunchError> {
        let place = FilePlace { root: WORKSPACE.to_owned(), path: Vec::new(), bounds: BOUNDS };
        let unpacked = tokio::select! {
            unpacked = self.link.unpack_files(&place, archive.into_stream()) => unpacked,
            end = self.process.container_ended() => return Err(LaunchError::Ended(end)),
        };
        match unpacked {
            Ok(_) => Ok(()),
            Err(FilesError::Outdated) => {
                let reason =
                    "its sandbox-init is of an earlier version: build the image again with `claude-runner image build`";
                Err(LaunchError::TooOld { image: self.image.name.clone(), reason: reason.to_owned() })
            }
            Err(error @ (FilesError::Broken(_) | FilesError::NotOpened)) => {
                // The end of the container is the better reason.
                match timeout(NOTICE, self.process.container_ended()).await {
                    Ok(end) => Err(LaunchError::Ended(end)),
                    Err(_elapsed) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
