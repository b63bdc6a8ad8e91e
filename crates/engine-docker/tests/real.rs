//! Tests that the Docker engine keeps the contract, and that a container matches its specification. They need an engine
//! (`scripts/engine start`) and the base image (`scripts/setup`), and fail without them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../engine/tests/contract/mod.rs"]
mod contract;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use contract::Fixture;
use engine::{
    BuildCache, BuildProgress, BuildSpec, ContainerExit, ContainerId, ContainerSpec, Engine, EngineError, Labels,
    Limits, Mount, Network, TarSource,
};
use engine_docker::{DEFAULT_HOST, DockerEngine};
use futures::{StreamExt as _, TryStreamExt as _};

const IMAGE: &str = "debian:bookworm-slim";

struct Real(Arc<DockerEngine>);

#[async_trait]
impl Fixture for Real {
    fn engine(&self) -> Arc<dyn Engine> {
        self.0.clone()
    }

    fn image_and_command(&self) -> (String, Vec<String>) {
        (IMAGE.to_owned(), shell("until [ -e /workspace/exit ]; do sleep 0.05; done; exit $(cat /workspace/exit)"))
    }

    async fn exit(&self, id: &ContainerId, code: i64) {
        let archive = contract::archive(&[("exit", code.to_string().as_bytes())]);
        self.0.upload(id, "/workspace", TarSource::Bytes(archive)).await.unwrap();
    }
}

async fn real() -> Real {
    let engine = DockerEngine::new(
        std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()).unwrap_or(DEFAULT_HOST.to_owned()),
    );
    engine.info().await.expect("these tests need a container engine: run scripts/engine start");
    let image = engine.image(IMAGE).await.unwrap();
    assert!(image.is_some(), "these tests need the image {IMAGE}: run scripts/setup");
    Real(Arc::new(engine))
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn spec(case: &str, script: &str, mounts: Vec<Mount>) -> ContainerSpec {
    ContainerSpec {
        name: format!("container-engine-test-{case}-{}", std::process::id()),
        image: IMAGE.to_owned(),
        labels: Labels::new(),
        entry_point: None,
        command: shell(script),
        environment: [].into(),
        mounts,
        network: Network::None,
        limits: Limits::new(128 << 20, 500_000_000, 64),
        runtime: None,
        shared_directory: None,
    }
}

/// Runs a container to its end and removes it. Returns its exit and its output.
async fn run(engine: &dyn Engine, spec: &ContainerSpec) -> (ContainerExit, String) {
    let id = engine.create_container(spec).await.unwrap();
    let started = engine.start(&id).await;
    let exit = engine.wait_container(&id).await;
    let log = engine.logs(&id, 4096).await;
    engine.remove_container(&id).await.unwrap();
    started.unwrap();
    (exit.unwrap(), log.unwrap())
}

#[tokio::test]
async fn life_of_a_container() {
    contract::life_of_a_container(&real().await).await;
}

#[tokio::test]
async fn removing_ends_everything_and_may_be_repeated() {
    contract::removing_ends_everything_and_may_be_repeated(&real().await).await;
}

#[tokio::test]
async fn names_and_images() {
    contract::names_and_images(&real().await).await;
}

#[tokio::test]
async fn files_go_in_and_out() {
    contract::files_go_in_and_out(&real().await).await;
}

#[tokio::test]
async fn a_container_is_locked_in() {
    let real = real().await;
    let script = "{
        id -u; id -g; id -G; hostname
        touch /x 2>/dev/null || echo root is read-only
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '
        ls /sys/class/net | tr '\\n' ' '; echo
        ulimit -n; ulimit -c
        unshare --user true 2>/dev/null || echo no namespaces
        head -c 1 /proc/interrupts | wc -c
        cp /bin/true /tmp/program && /tmp/program && echo tmp runs programs
        touch /run/file && echo run is writable
        cat /run/link/name
        touch /run/link/x 2>/dev/null || echo link is read-only
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
        cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
        } | sed 's/$/;/'";
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("name"), "the link\n").unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), permissions).unwrap();
    let link = Mount::Directory { source: directory.path().to_owned(), target: "/run/link".to_owned() };

    let shared = tempfile::tempdir().unwrap();
    let spec = ContainerSpec { shared_directory: Some(shared.path().to_owned()), ..spec("locked", script, vec![link]) };
    let (exit, log) = run(&*real.0, &spec).await;

    assert_eq!(exit, ContainerExit::Exited { code: 0, oom_killed: false }, "{log}");
    let expected = "10001\n10001\n10001\nsandbox\nroot is read-only\n\
        CapBnd: 0000000000000000\nCapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\nlo \n8192\n0\nno namespaces\n0\n\
        tmp runs programs\nrun is writable\nthe link\nlink is read-only\n134217728\n64\n";
    // Each line ends with a semicolon, because Podman's log may lose the end of a line.
    let sorted = |text: &str| {
        let text = text.replace('\n', "");
        let mut lines: Vec<_> = text.split(';').map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&log), sorted(&expected.replace('\n', ";\n")));
}

#[tokio::test]
async fn too_much_memory_is_seen_as_such() {
    let real = real().await;
    let (exit, log) = run(&*real.0, &spec("oom", "exec tail /dev/zero", Vec::new())).await;

    // Podman 4 does not report the reason on cgroup v1. The first process of a sandbox counts such kills itself.
    let reported = !real.0.info().await.unwrap().version.starts_with("4.");
    assert_eq!(exit, ContainerExit::Exited { code: 137, oom_killed: reported }, "{log}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_refused() {
    let real = real().await;
    let source = Path::new("/no/such/directory").to_owned();
    let mounts = vec![Mount::Directory { source, target: "/run/link".to_owned() }];

    let spec = spec("missing", "true", mounts);
    let refused = real.0.create_container(&spec).await;
    if real.0.info().await.unwrap().product == "Podman" {
        // It creates the directory.
        let created = refused.unwrap();
        return real.0.remove_container(&created).await.unwrap();
    }
    assert!(
        matches!(&refused, Err(EngineError::PathNotShared { path, .. }) if path == "/no/such/directory"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let engine = DockerEngine::new("unix:///no/such/engine.sock");

    let error = engine.info().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_image_is_built_labelled_and_removed() {
    let real = real().await;
    let tag = format!("container-engine-test-build-{}", std::process::id());
    let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\nENV BUILT=yes\nRUN echo building for {tag}\n");
    let build = |dockerfile: &str| BuildSpec {
        // Send the context in pieces, like a large one.
        context: TarSource::Stream(
            futures::stream::iter(
                contract::archive(&[("Dockerfile", dockerfile.as_bytes())])
                    .chunks(100)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect::<Vec<_>>(),
            )
            .boxed(),
        ),
        tag: tag.clone(),
        build_args: [("BASE".to_owned(), IMAGE.to_owned())].into(),
        labels: Labels::from([("made".to_owned(), "here".to_owned())]),
        cache: BuildCache::Ignore,
    };

    let progress: Vec<_> = real.0.build_image(build(&dockerfile)).await.unwrap().try_collect().await.unwrap();
    let image = real.0.image(&tag).await.unwrap().unwrap();
    assert!(progress.contains(&BuildProgress::Line(format!("building for {tag}"))), "{progress:?}");
    assert_eq!(progress.last(), Some(&BuildProgress::Built(image.id.clone())));
    assert_eq!(image.labels.get("made").map(String::as_str), Some("here"));

    real.0.remove_image(&tag).await.unwrap();
    real.0.remove_image(&tag).await.unwrap();
    assert_eq!(real.0.image(&tag).await, Ok(None));

    let failing = format!("FROM {IMAGE}\nRUN exit 9\n");
    let failed = real.0.build_image(build(&failing)).await.unwrap().try_collect::<Vec<_>>().await;
    assert!(matches!(&failed, Err(EngineError::BuildFailed { reason, .. }) if reason.contains('9')), "{failed:?}");
}

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let real = real().await;
    let info = real.0.info().await.unwrap();

    assert!(!info.version.is_empty() && info.memory_bytes > 0 && info.cpus > 0, "{info:?}");
    assert_eq!(info.architecture, std::env::consts::ARCH);
    assert!(info.runtimes.contains(&"runc".to_owned()), "{info:?}");
    assert!(real.0.bridge_gateway().await.unwrap().is_some());
}
