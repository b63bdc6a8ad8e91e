//! The contract of an engine as tests. The real engine and the one in memory run the same code.

use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use engine::{
    ContainerExit, ContainerId, ContainerSpec, Engine, EngineError, Labels, Limits, Mount, Network, TarSource,
    VolumeSummary,
};
use futures::TryStreamExt as _;

/// The differences between engines.
#[async_trait]
pub(crate) trait Fixture: Sync {
    fn engine(&self) -> Arc<dyn Engine>;

    /// An existing image, and a command in it that runs until `exit` is called.
    fn image_and_command(&self) -> (String, Vec<String>);

    async fn exit(&self, id: &ContainerId, code: i64);
}

/// The sandbox of one test. `case` makes its names unique, so that tests can run in parallel.
struct Sandbox {
    spec: ContainerSpec,
    volume: String,
    labels: Labels,
}

impl Sandbox {
    fn new(fixture: &dyn Fixture, case: &str) -> Self {
        let name = format!("container-engine-test-{case}-{}", std::process::id());
        let labels = Labels::from([("container-engine-test".to_owned(), name.clone())]);
        let (image, command) = fixture.image_and_command();
        let spec = ContainerSpec {
            name: name.clone(),
            image,
            labels: labels.clone(),
            entry_point: None,
            command,
            environment: [("LANG".to_owned(), "C.UTF-8".to_owned())].into(),
            mounts: vec![Mount::Volume { name: name.clone(), target: "/workspace".to_owned() }],
            network: Network::None,
            limits: Limits::new(256 << 20, 1_000_000_000, 64),
            runtime: None,
            shared_directory: None,
        };
        Self { spec, volume: name, labels }
    }

    async fn create(&self, engine: &dyn Engine) -> ContainerId {
        engine.create_volume(&self.volume, &self.labels).await.unwrap();
        engine.create_container(&self.spec).await.unwrap()
    }

    /// Removes everything and checks that nothing is left.
    async fn remove(&self, engine: &dyn Engine) {
        engine.remove_container(&ContainerId::new(&self.spec.name)).await.unwrap();
        engine.remove_volume(&self.volume).await.unwrap();
        assert_eq!(engine.list_containers(&self.labels).await.unwrap(), []);
        assert_eq!(engine.list_volumes(&self.labels).await.unwrap(), []);
    }
}

pub(crate) async fn life_of_a_container(fixture: &dyn Fixture) {
    let engine = fixture.engine();
    let sandbox = Sandbox::new(fixture, "life");
    let id = sandbox.create(&*engine).await;

    let created = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((created.running, created.exit_code, created.started_at), (false, None, None));
    assert_eq!(created.labels.get("container-engine-test"), Some(&sandbox.volume));
    let exit = engine.wait_container(&id).await.unwrap();
    assert_eq!(exit, ContainerExit::Exited { code: 0, oom_killed: false }, "one that was not started is waited for");

    engine.start(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    let running = engine.inspect_container(&id).await.unwrap().unwrap();
    assert!(running.running && running.exit_code.is_none() && running.started_at.is_some(), "{running:?}");
    let listed = engine.list_containers(&sandbox.labels).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].id, &listed[0].name, listed[0].running), (&id, &sandbox.spec.name, true));

    let (exit, ()) = tokio::join!(engine.wait_container(&id), fixture.exit(&id, 7));
    assert_eq!(exit.unwrap(), ContainerExit::Exited { code: 7, oom_killed: false });
    let ended = engine.inspect_container(&id).await.unwrap().unwrap();
    assert_eq!((ended.running, ended.exit_code, ended.oom_killed), (false, Some(7), false));

    sandbox.remove(&*engine).await;
    assert_eq!(engine.inspect_container(&id).await.unwrap(), None);
    assert_eq!(engine.wait_container(&id).await.unwrap(), ContainerExit::Gone);
}

pub(crate) async fn removing_ends_everything_and_may_be_repeated(fixture: &dyn Fixture) {
    let engine = fixture.engine();
    let sandbox = Sandbox::new(fixture, "removal");
    let id = sandbox.create(&*engine).await;
    engine.start(&id).await.unwrap();

    let in_use = engine.remove_volume(&sandbox.volume).await;
    assert!(matches!(in_use, Err(EngineError::Conflict { .. })), "{in_use:?}");

    // Two concurrent removals both return when the container no longer exists. Depending on the order, the wait sees
    // the exit by SIGKILL or a missing container.
    let (exit, first, second) =
        tokio::join!(engine.wait_container(&id), engine.remove_container(&id), engine.remove_container(&id));
    // Podman 4 has lost the code by then.
    let ended = matches!(exit, Ok(ContainerExit::Exited { code: 137 | 0, oom_killed: false } | ContainerExit::Gone));
    assert!(ended, "{exit:?}");
    assert_eq!((first, second), (Ok(()), Ok(())));
    sandbox.remove(&*engine).await;
    sandbox.remove(&*engine).await;
}

pub(crate) async fn names_and_images(fixture: &dyn Fixture) {
    let engine = fixture.engine();
    let sandbox = Sandbox::new(fixture, "names");
    let id = sandbox.create(&*engine).await;
    engine.create_volume(&sandbox.volume, &Labels::new()).await.unwrap();
    assert_eq!(
        engine.list_volumes(&sandbox.labels).await.unwrap(),
        [VolumeSummary { name: sandbox.volume.clone(), labels: sandbox.labels.clone() }],
        "labels stay"
    );

    let again = engine.create_container(&sandbox.spec).await;
    assert!(matches!(again, Err(EngineError::Conflict { .. })), "{again:?}");

    let image = "container-engine-test-no-such-image".to_owned();
    let spec = ContainerSpec { name: format!("{}-2", sandbox.spec.name), image: image.clone(), ..sandbox.spec.clone() };
    assert_eq!(engine.image(&image).await, Ok(None));
    assert_eq!(engine.create_container(&spec).await, Err(EngineError::ImageMissing { image }));
    assert!(engine.image(&sandbox.spec.image).await.unwrap().unwrap().id.starts_with("sha256:"));

    let unknown = ContainerId::new("container-engine-test-no-such-container");
    assert!(matches!(engine.start(&unknown).await, Err(EngineError::NotFound { .. })));

    engine.remove_container(&id).await.unwrap();
    sandbox.remove(&*engine).await;
}

pub(crate) async fn files_go_in_and_out(fixture: &dyn Fixture) {
    let engine = fixture.engine();
    let sandbox = Sandbox::new(fixture, "files");
    let id = sandbox.create(&*engine).await;

    // Upload before the start, as the agent template is copied.
    let archive = archive(&[("AGENTS.md", b"be kind".as_slice()), ("tools/run.sh", b"#!/bin/sh\n")]);
    engine.upload(&id, "/workspace", TarSource::Bytes(archive)).await.unwrap();

    let below_root = files(&*engine, &id, "/workspace").await.into_iter().map(|(path, content)| {
        let path = path.strip_prefix("workspace/").or(path.strip_prefix('/')).unwrap();
        (path.to_owned(), content)
    });
    assert_eq!(
        below_root.collect::<Vec<_>>(),
        [("AGENTS.md".to_owned(), b"be kind".to_vec()), ("tools/run.sh".to_owned(), b"#!/bin/sh\n".to_vec())]
    );
    assert_eq!(files(&*engine, &id, "/workspace/AGENTS.md").await, [("AGENTS.md".to_owned(), b"be kind".to_vec())]);
    let none = engine.download(&id, "/workspace/none").await.err();
    assert!(matches!(none, Some(EngineError::NotFound { .. })), "{none:?}");
    let nowhere = engine.upload(&id, "/workspace/none", TarSource::Bytes(self::archive(&[]))).await;
    assert!(matches!(nowhere, Err(EngineError::NotFound { .. })), "{nowhere:?}");
    assert_eq!(engine.usage(&id).await.unwrap().unwrap().processes, 0, "it does not run");
    assert_eq!(engine.usage(&ContainerId::new("none-of-ours")).await.unwrap(), None);
    let root = engine.upload(&id, "/etc", TarSource::Bytes(self::archive(&[("x", b"")]))).await;
    // Podman writes into the container's own layer, which is removed with it.
    assert!(matches!(root, Ok(()) | Err(EngineError::Other { .. })), "{root:?}");

    sandbox.remove(&*engine).await;
}

pub(crate) fn archive(files: &[(&str, &[u8])]) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(engine::AGENT_UID);
        header.set_gid(engine::AGENT_GID);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap().into()
}

/// The regular files below `path`, sorted.
pub(crate) async fn files(engine: &dyn Engine, id: &ContainerId, path: &str) -> Vec<(String, Vec<u8>)> {
    let pieces: Vec<Bytes> = engine.download(id, path).await.unwrap().try_collect().await.unwrap();
    let mut files = Vec::new();
    for entry in tar::Archive::new(pieces.concat().as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.push((entry.path().unwrap().to_string_lossy().into_owned(), content));
        }
    }
    files.sort();
    files
}
