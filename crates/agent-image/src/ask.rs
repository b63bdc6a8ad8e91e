//! Asks the program in an image for its version. A label is not reliable, because an image that is built from another
//! one inherits the labels and may have another program.

use std::time::Duration;

use domain::claude_code::Version;
use engine::{ContainerExit, ContainerId, ContainerSpec, Engine, EngineError, Labels, Limits, Network};
use tokio::time::timeout;

/// The program that is asked.
const PROGRAM: &str = "claude";

/// The time limit of the answer. It takes half a second, and much longer in an emulating runtime.
const ASK_TIMEOUT: Duration = Duration::from_mins(1);

/// The maximum size of the answer in bytes. The answer has one line.
const MAX_ANSWER_BYTES: usize = 1000;

/// The container in which the program is asked.
#[derive(Debug, Clone)]
pub struct AskedIn {
    /// Unique in the engine.
    pub name: String,
    pub labels: Labels,
}

/// A container that belongs to no installation.
impl Default for AskedIn {
    fn default() -> Self {
        let name = format!("claude-runner-version-{:08x}", rand::random::<u32>());
        AskedIn { name, labels: Labels::new() }
    }
}

/// The reason why the version is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The engine failed. The next attempt may succeed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine did not start the program: it is missing, it cannot be executed, or the engine could not do it now.
    #[error("`claude --version` in the image {image} did not start: {reason}")]
    NotStarted { image: String, reason: String },
    /// The program gave no version. It never will.
    #[error("`claude --version` in the image {image} reported no version: {reason}")]
    NoAnswer { image: String, reason: String },
}

/// Runs `claude --version` in a container of the image, which is removed again.
pub async fn ask_version(engine: &dyn Engine, image: &str, container: AskedIn) -> Result<Version, AskError> {
    let spec = ContainerSpec {
        name: container.name,
        image: image.to_owned(),
        labels: container.labels,
        entry_point: Some(PROGRAM.to_owned()),
        command: vec!["--version".to_owned()],
        environment: [("DISABLE_AUTOUPDATER".to_owned(), "1".to_owned())].into(),
        mounts: Vec::new(),
        network: Network::None,
        limits: Limits::new(512 << 20, 2_000_000_000, 128),
        // The version does not depend on it.
        runtime: None,
        shared_directory: None,
    };
    let id = engine.create_container(&spec).await?;
    let answer = timeout(ASK_TIMEOUT, answer(engine, image, &id)).await;
    let removed = engine.remove_container(&id).await;
    let answer = answer
        .unwrap_or_else(|_| Err(no_answer(image, format!("it did not end within {} s", ASK_TIMEOUT.as_secs()))))?;
    removed?;
    Ok(answer)
}

async fn answer(engine: &dyn Engine, image: &str, id: &ContainerId) -> Result<Version, AskError> {
    match engine.start(id).await {
        Err(EngineError::Other { reason, .. } | EngineError::NotFound { reason, .. }) => {
            return Err(AskError::NotStarted { image: image.to_owned(), reason });
        }
        started => started?,
    }
    let exit = engine.wait_container(id).await?;
    let output = engine.logs(id, MAX_ANSWER_BYTES).await?;
    match (exit, Version::from_output(&output)) {
        (ContainerExit::Exited { code: 0, .. }, Ok(version)) => Ok(version),
        (ContainerExit::Exited { code: 0, .. }, Err(_)) if output.trim().is_empty() => {
            Err(no_answer(image, "it printed nothing".to_owned()))
        }
        (ContainerExit::Exited { code: 0, .. }, Err(_)) => {
            Err(no_answer(image, format!("it printed {:?}", output.trim())))
        }
        (ContainerExit::Exited { code, .. }, _) => {
            Err(no_answer(image, format!("it exited with code {code}: {}", output.trim())))
        }
        (ContainerExit::Gone, _) => Err(no_answer(image, "its container was removed".to_owned())),
    }
}

fn no_answer(image: &str, reason: String) -> AskError {
    AskError::NoAnswer { image: image.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use engine::{FakeEngine, Operation};

    use super::*;

    #[tokio::test]
    async fn the_program_tells_its_version_and_nothing_is_left() {
        let engine = FakeEngine::new(&["agent"]);
        engine.says("2.1.332 (Claude Code)\n");
        let version = ask_version(&engine, "agent", AskedIn::default()).await;
        assert_eq!(version, Ok(Version::new(2, 1, 332)));
        assert_eq!(engine.list_containers(&Labels::new()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_program_without_a_version_is_named_with_what_it_printed() {
        let engine = FakeEngine::new(&["agent"]);
        engine.says("no licence\n");
        let error = ask_version(&engine, "agent", AskedIn::default()).await.unwrap_err();
        assert!(error.to_string().contains("agent") && error.to_string().contains("no licence"), "{error}");

        let missing =
            EngineError::Other { operation: Operation::Start, name: "x".into(), reason: "no such file".into() };
        engine.fail_next(Operation::Start, missing);
        let error = ask_version(&engine, "agent", AskedIn::default()).await.unwrap_err();
        assert!(matches!(&error, AskError::NotStarted { reason, .. } if reason == "no such file"), "{error}");
        assert_eq!(engine.list_containers(&Labels::new()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn an_engine_that_fails_says_nothing_about_the_image() {
        let engine = FakeEngine::new(&["agent"]);
        engine.go_away();
        let error = ask_version(&engine, "agent", AskedIn::default()).await.unwrap_err();
        assert!(matches!(error, AskError::Engine(EngineError::Unreachable { .. })), "{error}");
    }
}
