//! Images of a scenario's own: the agent image with another program in the place of Claude Code.

use bytes::Bytes;
use container_engine::{BuildCache, BuildProgress, BuildSpec, DockerEngine, Engine as _, Labels};
use futures::TryStreamExt as _;

use crate::server::agent_image;

pub(crate) struct TestImage {
    engine: DockerEngine,
    pub(crate) name: String,
}

impl TestImage {
    /// `program` stands where Claude Code should be. `case` is unique among the scenarios.
    pub(crate) async fn with_agent(case: &str, program: &str) -> Self {
        let engine = DockerEngine::from_environment();
        let name = format!("claude-runner-faults-{case}");
        let dockerfile = format!("FROM {}\nCOPY claude /usr/local/bin/claude\n", agent_image());
        let spec = BuildSpec {
            context: archive(&[("Dockerfile", &dockerfile, 0o644), ("claude", program, 0o755)]).into(),
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
