//! Images of a test, built from the agent image.

use bytes::Bytes;
use coordinator::config::docker_host;
use engine::{BuildCache, BuildProgress, BuildSpec, Engine as _, Labels};
use engine_docker::DockerEngine;
use futures::TryStreamExt as _;

use super::environment::agent_image;

pub(crate) struct TestImage {
    engine: DockerEngine,
    pub(crate) name: String,
}

impl TestImage {
    /// Builds the agent image with this program in place of Claude Code. `case` is unique among the tests of both binaries.
    pub(crate) async fn with_agent(case: &str, program: &str, mode: u32) -> Self {
        Self::build(case, "COPY claude /usr/local/bin/claude", &[("claude", program, mode)]).await
    }

    /// Builds the agent image with this extra instruction, which may use these files.
    pub(crate) async fn build(case: &str, instruction: &str, files: &[(&str, &str, u32)]) -> Self {
        Self::build_on(&agent_image(), case, instruction, files).await
    }

    pub(crate) async fn build_on(base: &str, case: &str, instruction: &str, files: &[(&str, &str, u32)]) -> Self {
        let engine = DockerEngine::new(docker_host().unwrap());
        let name = format!("claude-runner-test-{case}");
        let dockerfile = format!("FROM {base}\n{instruction}\n");
        let files: Vec<_> = files.iter().copied().chain([("Dockerfile", dockerfile.as_str(), 0o644)]).collect();
        let spec = BuildSpec {
            context: archive(&files).into(),
            tag: name.clone(),
            build_args: [].into(),
            labels: Labels::new(),
            cache: BuildCache::Use,
        };
        let progress: Vec<_> = engine.build_image(spec).await.unwrap().try_collect().await.unwrap();
        assert!(matches!(progress.last(), Some(BuildProgress::Built(_))), "{progress:?}");
        TestImage { engine, name }
    }

    pub(crate) async fn remove(self) {
        self.engine.remove_image(&self.name).await.unwrap();
    }
}

fn archive(files: &[(&str, &str, u32)]) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().into()
}
