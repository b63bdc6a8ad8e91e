//! The containers and volumes of a server under test.

use std::path::Path;

use coordinator::config::docker_host;
use engine::{Engine as _, Labels};
use engine_docker::DockerEngine;

/// Returns the labels of everything that belongs to the server below `directory`. No container has them before the first start.
pub(crate) fn labels(directory: &Path) -> Labels {
    labels_of(&std::fs::read_to_string(directory.join("data/instance")).unwrap_or_default())
}

/// Returns the labels of everything that belongs to this installation.
pub(crate) fn labels_of(instance: &str) -> Labels {
    Labels::from([("claude-runner.instance".to_owned(), instance.trim().to_owned())])
}

/// Returns the labels of the lease of the installation with these labels. A server that was killed leaves it.
pub(crate) fn lease_labels(labels: &Labels) -> Labels {
    labels.values().map(|instance| ("claude-runner.lease".to_owned(), instance.clone())).collect()
}

/// Returns the engine that a server with this DOCKER_HOST uses.
pub(crate) fn engine(host: Option<&String>) -> DockerEngine {
    DockerEngine::new(host.cloned().unwrap_or_else(|| docker_host().unwrap()))
}

/// Removes the orphans of a failed test from the engine.
pub(crate) fn remove(labels: Labels, host: Option<String>) {
    // A runtime cannot be blocked from inside another one.
    let removal = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = engine(host.as_ref());
            for container in engine.list_containers(&labels).await.unwrap_or_default() {
                let _ = engine.remove_container(&container.id).await;
            }
            for labels in [lease_labels(&labels), labels] {
                for volume in engine.list_volumes(&labels).await.unwrap_or_default() {
                    let _ = engine.remove_volume(&volume.name).await;
                }
            }
        });
    });
    if removal.join().is_err() {
        eprintln!("the orphans of the test could not be removed");
    }
}
