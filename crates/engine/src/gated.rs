//! An engine whose containers and volumes may not be used yet.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::{
    BuildSpec, BuildStream, ContainerExit, ContainerId, ContainerSpec, ContainerState, ContainerSummary,
    ContainerUsage, Engine, EngineError, EngineInfo, ImageChanges, ImageInfo, Labels, Operation, TarSource, TarStream,
    VolumeSummary,
};

/// Opens a [`GatedEngine`]. Clones share the gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Passes every call to an engine once its gate is open. Before, calls about containers and volumes fail as if the engine did not
/// answer, so that they are repeated: these objects may belong to another server.
pub struct GatedEngine {
    engine: Arc<dyn Engine>,
    address: String,
    gate: Gate,
}

impl GatedEngine {
    pub fn new(engine: Arc<dyn Engine>, address: &str) -> Self {
        GatedEngine { engine, address: address.to_owned(), gate: Gate::default() }
    }

    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    fn owned(&self, operation: Operation) -> Result<&dyn Engine, EngineError> {
        if self.gate.0.load(Ordering::Acquire) {
            return Ok(self.engine.as_ref());
        }
        let reason = "it is not certain yet that no other server uses it".to_owned();
        Err(EngineError::Unreachable { operation, address: self.address.clone(), reason })
    }
}

#[async_trait]
impl Engine for GatedEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.engine.info().await
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError> {
        self.owned(Operation::CreateVolume)?.create_volume(name, labels).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.owned(Operation::RemoveVolume)?.remove_volume(name).await
    }

    async fn list_volumes(&self, labels: &Labels) -> Result<Vec<VolumeSummary>, EngineError> {
        self.owned(Operation::ListVolumes)?.list_volumes(labels).await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.owned(Operation::CreateContainer)?.create_container(spec).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.owned(Operation::Start)?.start(id).await
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.owned(Operation::RemoveContainer)?.remove_container(id).await
    }

    async fn inspect_container(&self, id: &ContainerId) -> Result<Option<ContainerState>, EngineError> {
        self.owned(Operation::InspectContainer)?.inspect_container(id).await
    }

    async fn wait_container(&self, id: &ContainerId) -> Result<ContainerExit, EngineError> {
        self.owned(Operation::WaitContainer)?.wait_container(id).await
    }

    async fn list_containers(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, EngineError> {
        self.owned(Operation::ListContainers)?.list_containers(labels).await
    }

    async fn upload(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError> {
        self.owned(Operation::Upload)?.upload(id, path, tar).await
    }

    async fn download(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError> {
        self.owned(Operation::Download)?.download(id, path).await
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<ContainerUsage>, EngineError> {
        self.owned(Operation::Usage)?.usage(id).await
    }

    async fn logs(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError> {
        self.owned(Operation::Logs)?.logs(id, max_bytes).await
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, EngineError> {
        self.engine.image(reference).await
    }

    async fn image_history(&self, reference: &str) -> Result<Vec<String>, EngineError> {
        self.engine.image_history(reference).await
    }

    async fn tag_image(&self, reference: &str, name: &str) -> Result<(), EngineError> {
        self.engine.tag_image(reference, name).await
    }

    async fn image_changes(&self) -> Result<ImageChanges, EngineError> {
        self.engine.image_changes().await
    }

    async fn build_image(&self, spec: BuildSpec) -> Result<BuildStream, EngineError> {
        self.engine.build_image(spec).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        self.engine.remove_image(reference).await
    }

    async fn bridge_gateway(&self) -> Result<Option<IpAddr>, EngineError> {
        self.engine.bridge_gateway().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::GatedEngine;
    use crate::{Engine as _, EngineError, FakeEngine, Labels};

    #[tokio::test]
    async fn nothing_is_touched_before_the_gate_is_open() {
        let inner = FakeEngine::new(&[]);
        inner.create_volume("kept", &Labels::new()).await.unwrap();
        let engine = GatedEngine::new(Arc::new(inner.clone()), "unix:///engine");
        engine.info().await.unwrap();
        for refused in [engine.remove_volume("kept").await, engine.create_volume("new", &Labels::new()).await] {
            assert!(matches!(refused, Err(EngineError::Unreachable { .. })), "{refused:?}");
        }
        assert!(engine.list_containers(&Labels::new()).await.is_err());
        assert_eq!(inner.list_volumes(&Labels::new()).await.unwrap().len(), 1);
        engine.gate().open();
        engine.remove_volume("kept").await.unwrap();
        assert_eq!(engine.list_volumes(&Labels::new()).await.unwrap(), []);
    }
}
