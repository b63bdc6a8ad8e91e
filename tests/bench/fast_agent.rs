//! The agent image with an agent that writes as many events as its message says, faster than any model.

use coordinator::config::docker_host;
use engine::{BuildCache, BuildProgress, BuildSpec, Engine as _, Labels};
use engine_docker::DockerEngine;
use futures::TryStreamExt as _;

use crate::server::image;

const AGENT: &str = concat!(include_str!("../support/stand_in.sh"), include_str!("fast_agent.sh"));

const NAME: &str = "claude-runner-bench-fast";

/// Builds the image if it is missing, and returns its name.
pub(crate) async fn fast_agent() -> &'static str {
    let dockerfile = format!("FROM {}\nCOPY claude /usr/local/bin/claude\n", image());
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content, mode) in [("Dockerfile", dockerfile.as_str(), 0o644), ("claude", AGENT, 0o755)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let context: bytes::Bytes = archive.into_inner().unwrap().into();
    let spec = BuildSpec {
        context: context.into(),
        tag: NAME.to_owned(),
        build_args: [].into(),
        labels: Labels::new(),
        cache: BuildCache::Use,
    };
    let engine = DockerEngine::new(docker_host().unwrap());
    let progress: Vec<BuildProgress> = engine.build_image(spec).await.unwrap().try_collect().await.unwrap();
    assert!(matches!(progress.last(), Some(BuildProgress::Built(_))), "{progress:?}");
    NAME
}

pub(crate) fn stream(count: usize, bytes: usize) -> String {
    format!("stream:{count}:{bytes}")
}
