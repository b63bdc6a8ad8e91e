use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use tokio::sync::watch;

use super::{Call, Container, FakeEngine, Phase, Started, Volume, World};
use crate::{
    BuildProgress, BuildSpec, BuildStream, ContainerExit, ContainerId, ContainerSpec, ContainerState, ContainerSummary,
    ContainerUsage, Engine, EngineError, EngineInfo, ImageChanges, ImageInfo, Labels, Mount, Operation, TarSource,
    TarStream, VolumeSummary,
};

/// The exit of a killed container: 128 + SIGKILL.
const KILLED: ContainerExit = ContainerExit::Exited { code: 137, oom_killed: false };

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.enter(Operation::Info, "").await?;
        Ok(EngineInfo {
            name: "memory".to_owned(),
            product: "Docker".to_owned(),
            version: "0".to_owned(),
            api_version: "1.41".to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            memory_bytes: 8 << 30,
            cpus: 2,
            cgroup_version: "2".to_owned(),
            storage_driver: "memory".to_owned(),
            runtimes: vec!["runc".to_owned()],
            runc_version: None,
            other_oci_runtime: None,
            selinux: false,
        })
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError> {
        self.enter(Operation::CreateVolume, name).await?;
        self.world().volumes.entry(name.to_owned()).or_insert_with(|| Volume::new(labels.clone()));
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.enter(Operation::RemoveVolume, name).await?;
        let mut world = self.world();
        if let Some(container) = world.containers.values().find(|container| container.mounts_volume(name)) {
            let reason = format!("volume is in use by {}", container.spec.name);
            return Err(EngineError::Conflict { operation: Operation::RemoveVolume, name: name.to_owned(), reason });
        }
        world.volumes.remove(name);
        Ok(())
    }

    async fn list_volumes(&self, labels: &Labels) -> Result<Vec<VolumeSummary>, EngineError> {
        self.enter(Operation::ListVolumes, "").await?;
        let world = self.world();
        let matching = world.volumes.iter().filter(|(_, volume)| has_all(&volume.labels, labels));
        let summary =
            |(name, volume): (&String, &Volume)| VolumeSummary { name: name.clone(), labels: volume.labels.clone() };
        Ok(matching.map(summary).collect())
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.enter_with(Operation::CreateContainer, &spec.name, spec.entry_point.is_some()).await?;
        let mut world = self.world();
        let Some(image_id) = world.image(&spec.image).map(|(_, image)| image.id.clone()) else {
            return Err(EngineError::ImageMissing { image: spec.image.clone() });
        };
        if world.find(&ContainerId::new(&spec.name)).is_some() {
            let reason = "the name is in use".to_owned();
            return Err(EngineError::Conflict {
                operation: Operation::CreateContainer,
                name: spec.name.clone(),
                reason,
            });
        }
        for mount in &spec.mounts {
            if let Mount::Volume { name, .. } | Mount::ReadOnlyVolume { name, .. } = mount {
                world.volumes.entry(name.clone()).or_default();
            }
        }
        world.next_id += 1;
        let id = ContainerId::new(format!("{:064x}", world.next_id));
        let phase = watch::Sender::new(Phase::Created);
        world.containers.insert(id.clone(), Container { spec: spec.clone(), image_id, phase, log: String::new() });
        Ok(id)
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.enter(Operation::Start, id.as_str()).await?;
        let (hook, started) = {
            let world = self.world();
            let (id, container) = world.find(id).ok_or_else(|| missing(Operation::Start, id))?;
            if container.phase.send_replace(Phase::Running) == Phase::Running {
                return Ok(());
            }
            (world.start_hook.clone(), Started { id: id.clone(), spec: container.spec.clone() })
        };
        // Call the hook outside the lock, because it may use the engine.
        if started.spec.entry_point.is_some() {
            let mut world = self.world();
            let output = world.output.clone();
            if let Some(container) = world.containers.get_mut(&started.id) {
                container.log.push_str(&output);
                container.end(ContainerExit::Exited { code: 0, oom_killed: false });
            }
        } else if let Some(hook) = hook {
            hook(started);
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.enter(Operation::RemoveContainer, id.as_str()).await?;
        let mut world = self.world();
        if let Some(id) = world.find(id).map(|(id, _)| id.clone())
            && let Some(container) = world.containers.remove(&id)
        {
            container.end(KILLED);
        }
        Ok(())
    }

    async fn inspect_container(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        self.enter(Operation::InspectContainer, id.as_str()).await?;
        Ok(self.world().find(id).map(|(_, container)| container.state()))
    }

    async fn wait_container(&self, id: &ContainerId) -> Result<ContainerExit, EngineError> {
        self.enter(Operation::WaitContainer, id.as_str()).await?;
        let Some(mut phase) = self.world().find(id).map(|(_, container)| container.phase.subscribe()) else {
            return Ok(ContainerExit::Gone);
        };
        let ended = async {
            match phase.wait_for(|phase| *phase != Phase::Running).await.as_deref() {
                Ok(Phase::Exited(exit)) => *exit,
                Ok(Phase::Created | Phase::Running) => ContainerExit::Exited { code: 0, oom_killed: false },
                Err(_) => ContainerExit::Gone,
            }
        };
        tokio::select! {
            exit = ended => Ok(exit),
            error = self.faults.gone_away(Operation::WaitContainer) => Err(error),
        }
    }

    async fn list_containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError> {
        self.enter(Operation::ListContainers, "").await?;
        let world = self.world();
        let matching = world.containers.iter().filter(|(_, container)| has_all(&container.spec.labels, labels));
        Ok(matching
            .map(|(id, container)| ContainerSummary {
                id: id.clone(),
                name: container.spec.name.clone(),
                image: container.spec.image.clone(),
                running: *container.phase.borrow() == Phase::Running,
                labels: container.spec.labels.clone(),
            })
            .collect())
    }

    async fn upload(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError> {
        self.enter(Operation::Upload, id.as_str()).await?;
        let failed = |reason: String| EngineError::Other { operation: Operation::Upload, name: id.to_string(), reason };
        let archive = tar.collect().await.map_err(|error| failed(error.to_string()))?;
        let mut world = self.world();
        let (volume, inner) = world.locate(Operation::Upload, id, path)?;
        let volume = volume.ok_or_else(|| failed(format!("{path} is on the read-only root")))?;
        let volume = world.volumes.entry(volume).or_default();
        if !volume.is_directory(&inner) {
            return Err(missing(Operation::Upload, id));
        }
        volume.unpack(&inner, &archive).map_err(|error| failed(error.to_string()))
    }

    async fn download(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError> {
        self.enter(Operation::Download, id.as_str()).await?;
        let world = self.world();
        let (volume, inner) = world.locate(Operation::Download, id, path)?;
        let volume =
            volume.and_then(|name| world.volumes.get(&name)).ok_or_else(|| missing(Operation::Download, id))?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let archive = volume.pack(&inner, name).map_err(|error| EngineError::Other {
            operation: Operation::Download,
            name: id.to_string(),
            reason: error.to_string(),
        })?;
        let archive = archive.ok_or_else(|| missing(Operation::Download, id))?;
        Ok(stream::once(async move { Ok(archive.into()) }).boxed())
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<ContainerUsage>, EngineError> {
        self.enter(Operation::Usage, id.as_str()).await?;
        let world = self.world();
        let Some((_, container)) = world.find(id) else { return Ok(None) };
        if *container.phase.borrow() != Phase::Running {
            return Ok(Some(ContainerUsage::default()));
        }
        let memory_limit_bytes = container.spec.limits.memory_bytes;
        Ok(Some(ContainerUsage { cpu_nanos: 1, memory_bytes: 1, memory_limit_bytes, processes: 1, process_limit: 0 }))
    }

    async fn logs(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError> {
        self.enter(Operation::Logs, id.as_str()).await?;
        let world = self.world();
        let (_, container) = world.find(id).ok_or_else(|| missing(Operation::Logs, id))?;
        let tail = &container.log.as_bytes()[container.log.len().saturating_sub(max_bytes)..];
        Ok(String::from_utf8_lossy(tail).into_owned())
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        self.enter(Operation::Image, reference).await?;
        Ok(self.world().image(reference).map(|(_, image)| image.clone()))
    }

    async fn image_history(&self, reference: &str) -> Result<Vec<String>, EngineError> {
        self.enter(Operation::ImageHistory, reference).await?;
        let world = self.world();
        let id = world.image(reference).map(|(_, image)| image.id.clone());
        Ok(id.and_then(|id| world.histories.get(&id).cloned()).unwrap_or_default())
    }

    async fn tag_image(&self, reference: &str, name: &str) -> Result<(), EngineError> {
        self.enter(Operation::TagImage, reference).await?;
        let mut world = self.world();
        let image = world.image(reference).map(|(_, image)| image.clone());
        let image = image.ok_or_else(|| missing(Operation::TagImage, &ContainerId::new(reference)))?;
        world.images.insert(name.to_owned(), image);
        world.image_changes.send_replace(());
        Ok(())
    }

    async fn image_changes(&self) -> Result<ImageChanges, EngineError> {
        self.enter(Operation::ImageChanges, "").await?;
        let changes = self.world().image_changes.subscribe();
        Ok(stream::unfold(changes, |mut changes| async move { changes.changed().await.ok().map(|()| ((), changes)) })
            .boxed())
    }

    async fn build_image(&self, spec: BuildSpec) -> Result<BuildStream, EngineError> {
        self.enter(Operation::BuildImage, &spec.tag).await?;
        let read = spec.context.collect().await;
        read.map_err(|error| EngineError::BuildFailed { tag: spec.tag.clone(), reason: error.to_string() })?;
        let id = self.world().add_image(&spec.tag, spec.labels);
        let lines = [Ok(BuildProgress::Line("Step 1/1 : FROM scratch".to_owned())), Ok(BuildProgress::Built(id))];
        Ok(stream::iter(lines).boxed())
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        self.enter(Operation::RemoveImage, reference).await?;
        let mut world = self.world();
        let Some(tag) = world.image(reference).map(|(tag, _)| tag.clone()) else { return Ok(()) };
        if world.containers.values().any(|container| container.spec.image == tag || container.spec.image == reference) {
            let reason = "a container uses it".to_owned();
            return Err(EngineError::Conflict {
                operation: Operation::RemoveImage,
                name: reference.to_owned(),
                reason,
            });
        }
        world.images.remove(&tag);
        world.image_changes.send_replace(());
        Ok(())
    }

    async fn bridge_gateway(&self) -> Result<Option<IpAddr>, EngineError> {
        self.enter(Operation::BridgeGateway, "bridge").await?;
        Ok(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }
}

impl FakeEngine {
    async fn enter(&self, operation: Operation, name: &str) -> Result<(), EngineError> {
        let found =
            self.world().find(&ContainerId::new(name)).map(|(_, container)| container.spec.entry_point.is_some());
        self.enter_with(operation, name, found == Some(true)).await
    }

    async fn enter_with(&self, operation: Operation, name: &str, own_entry_point: bool) -> Result<(), EngineError> {
        if own_entry_point && self.world().spares_own_entry_points {
            return Ok(());
        }
        self.world().calls.push(Call { operation, name: name.to_owned() });
        self.faults.pass(operation).await
    }
}

impl World {
    /// Finds an image by name or by id.
    fn image(&self, reference: &str) -> Option<(&String, &ImageInfo)> {
        self.images.iter().find(|(tag, image)| *tag == reference || image.id == reference)
    }

    /// Returns the volume that contains `path`, if any, and the path in it.
    fn locate(
        &self,
        operation: Operation,
        id: &ContainerId,
        path: &str,
    ) -> Result<(Option<String>, PathBuf), EngineError> {
        let (_, container) = self.find(id).ok_or_else(|| missing(operation, id))?;
        let found = container.spec.mounts.iter().find_map(|mount| match mount {
            Mount::Volume { name, target } | Mount::ReadOnlyVolume { name, target } => {
                let inner = std::path::Path::new(path).strip_prefix(target).ok()?;
                Some((name.clone(), inner.components().collect()))
            }
            Mount::Directory { .. } | Mount::File { .. } => None,
        });
        Ok(found.map_or((None, PathBuf::new()), |(name, inner)| (Some(name), inner)))
    }
}

impl Container {
    fn mounts_volume(&self, wanted: &str) -> bool {
        self.spec.mounts.iter().any(
            |mount| matches!(mount, Mount::Volume { name, .. } | Mount::ReadOnlyVolume { name, .. } if name == wanted),
        )
    }

    fn state(&self) -> ContainerState {
        let phase = *self.phase.borrow();
        let (exit_code, oom_killed) = match phase {
            Phase::Exited(ContainerExit::Exited { code, oom_killed }) => (Some(code), oom_killed),
            Phase::Created | Phase::Running | Phase::Exited(ContainerExit::Gone) => (None, false),
        };
        ContainerState {
            running: phase == Phase::Running,
            exit_code,
            oom_killed,
            started_at: (phase != Phase::Created).then(|| "2000-01-01T00:00:00Z".to_owned()),
            image_id: self.image_id.clone(),
            labels: self.spec.labels.clone(),
        }
    }
}

fn has_all(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn missing(operation: Operation, id: &ContainerId) -> EngineError {
    EngineError::NotFound { operation, name: id.to_string(), reason: "it does not exist".to_owned() }
}
