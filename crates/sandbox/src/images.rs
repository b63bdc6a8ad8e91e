//! The images of sandboxes: the image that a name stands for now, and the version of Claude Code in an image. The program in
//! the image reports the version, because an image with another program can inherit a label.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use agent_image::{AskError, AskedIn, Support, ask_version, versions};
use dashmap::DashMap;
use domain::claude_code::Version;
use engine::{ContainerId, EngineError, ImageChanges};
use futures::StreamExt as _;
use tokio::sync::{Notify, OnceCell};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::launch::Unfinished;
use super::{LaunchError, Sandbox, SandboxHost};

/// The time between two looks at the images. The engine announces changes, but may leave some out.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The time limit of a look at an image that a sandbox waits for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer of the program in an image. An image never changes, so neither does this.
type Program = Arc<OnceCell<Result<Version, AskError>>>;

#[derive(Default)]
pub(super) struct Images {
    /// By name, the ids of the images that new sandboxes would use.
    current: DashMap<String, String>,
    /// By id.
    programs: DashMap<String, Program>,
    /// By id, the last question that failed and will be asked again.
    failed: DashMap<String, AskError>,
    /// A question has ended.
    asked: Notify,
}

/// The image of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxImage {
    /// The name from which a new sandbox for the same purpose would be launched.
    pub name: String,
    /// `None` if the engine did not report it.
    pub id: Option<String>,
    /// The version of Claude Code. `None` if its program does not report it, or has not been asked.
    pub claude_code: Option<Version>,
}

impl SandboxHost {
    /// Follows the changes of the agent image until `shutdown`, so that nobody waits for the engine to know whether a sandbox
    /// is out of date.
    pub async fn follow_images(&self, shutdown: CancellationToken) {
        let follow = async {
            loop {
                let mut changes = self.engine.image_changes().await.ok();
                self.look_at_agent_image().await;
                while changed(changes.as_mut()).await {
                    self.look_at_agent_image().await;
                }
            }
        };
        shutdown.run_until_cancelled(follow).await;
    }

    /// Notes which image has the name of the agent image, and asks a new one for its version.
    async fn look_at_agent_image(&self) {
        let Ok(image) = self.engine.image(&self.settings.image).await else { return };
        let Some(image) = image else {
            self.images.current.remove(&self.settings.image);
            return;
        };
        let known = self.known_version(&image.id).is_some();
        let before = self.images.current.insert(self.settings.image.clone(), image.id.clone());
        let is_new = before.as_ref() != Some(&image.id);
        if known && !is_new {
            return;
        }
        match self.claude_code(&image.id).await {
            Ok(version) => self.report(&image.id, version),
            Err(error @ (AskError::NoAnswer { .. } | AskError::NotStarted { .. })) if is_new => {
                warn!(image = self.settings.image, %error, "the version of Claude Code is not known");
            }
            // It was reported before, or the next look asks again.
            Err(AskError::NoAnswer { .. } | AskError::NotStarted { .. } | AskError::Engine(_)) => {}
        }
    }

    fn report(&self, id: &str, version: Version) {
        let image = &self.settings.image;
        match versions().support(version) {
            Support::Tested => info!(image, image.id = id, claude_code.version = %version, "the agent image"),
            Support::Untested => {
                warn!(image, image.id = id, claude_code.version = %version, "this version of Claude Code is untested with this release");
            }
            Support::TooOld => {
                let minimum = versions().minimum;
                warn!(image, image.id = id, claude_code.version = %version, %minimum, "this version of Claude Code is too old: tasks do not run");
            }
        }
    }

    /// Returns the version of Claude Code in the image with this id. Its program is asked once.
    pub async fn claude_code(&self, image_id: &str) -> Result<Version, AskError> {
        let program = Arc::clone(&self.images.programs.entry(image_id.to_owned()).or_default());
        let answer = program.get_or_try_init(|| async {
            match self.ask(image_id).await {
                Err(error @ (AskError::Engine(_) | AskError::NotStarted { .. })) => {
                    self.images.failed.insert(image_id.to_owned(), error.clone());
                    Err(error)
                }
                answer => {
                    self.images.failed.remove(image_id);
                    Ok(answer)
                }
            }
        });
        let answer = answer.await.cloned();
        self.images.asked.notify_waiters();
        answer?
    }

    /// Waits for the version of Claude Code in the image with this id, and asks nothing itself. The last failure of a question
    /// is an answer too.
    pub async fn reported_claude_code(&self, image_id: &str) -> Result<Version, AskError> {
        loop {
            let mut asked = pin!(self.images.asked.notified());
            // A question that ends from here on wakes this caller.
            asked.as_mut().enable();
            let failed = self.images.failed.get(image_id).map(|failed| Err(failed.value().clone()));
            if let Some(answer) = self.known_version(image_id).or(failed) {
                return answer;
            }
            asked.await;
        }
    }

    async fn ask(&self, image_id: &str) -> Result<Version, AskError> {
        let name = self.new_name();
        // A dropped question leaves an orphan.
        let unfinished = Unfinished { host: self, name: &name };
        let container = AskedIn { name: name.container(), labels: self.instance.question_labels() };
        let answer = ask_version(self.engine.as_ref(), image_id, container).await;
        if !matches!(answer, Err(AskError::Engine(_))) {
            std::mem::forget(unfinished);
            self.alive.remove(&name.to_string());
        }
        answer
    }

    /// The version of Claude Code in the agent image, if it is known already.
    pub fn agent_image_version(&self) -> Option<Version> {
        let id = self.images.current.get(&self.settings.image)?.clone();
        self.known_version(&id)?.ok()
    }

    fn known_version(&self, image_id: &str) -> Option<Result<Version, AskError>> {
        self.images.programs.get(image_id)?.get().cloned()
    }

    /// False if a new sandbox would be launched from another image. An unknown image counts as unchanged.
    pub fn is_current(&self, sandbox: &Sandbox) -> bool {
        let SandboxImage { name, id, .. } = &sandbox.image;
        match (id, self.images.current.get(name)) {
            (Some(id), Some(current)) => id == current.value(),
            (None, _) | (_, None) => true,
        }
    }

    /// Reads the image of a new container and the version of Claude Code in it. A version that is too old is an error.
    pub(super) async fn image_of(&self, container: &ContainerId, name: &str) -> Result<SandboxImage, LaunchError> {
        let mut image = SandboxImage { name: name.to_owned(), id: None, claude_code: None };
        let Some(id) = self.image_id_of(container).await? else { return Ok(image) };
        image.claude_code = match self.claude_code(&id).await {
            Ok(version) => {
                let described = versions().describe(version, self.settings.claude);
                described.map_err(|reason| LaunchError::TooOld { image: name.to_owned(), reason })?;
                Some(version)
            }
            Err(AskError::NoAnswer { .. } | AskError::NotStarted { .. }) => None,
            Err(AskError::Engine(error)) => return Err(error.into()),
        };
        image.id = Some(id);
        Ok(image)
    }

    /// Reads the image of a container that an earlier coordinator left. Nothing is asked, because its agent already runs.
    pub(super) async fn image_of_earlier(&self, container: &ContainerId) -> SandboxImage {
        let name = self.settings.image.clone();
        let both = async { tokio::join!(self.image_id_of(container), self.learn_agent_image()) };
        let id = timeout(PATIENCE, both).await.ok().and_then(|(id, ())| id.ok().flatten());
        let claude_code = id.as_deref().and_then(|id| self.known_version(id)?.ok());
        SandboxImage { name, id, claude_code }
    }

    async fn image_id_of(&self, container: &ContainerId) -> Result<Option<String>, EngineError> {
        let state = self.engine.inspect_container(container).await?;
        Ok(state.map(|state| state.image_id).filter(|id| !id.is_empty()))
    }

    /// Notes which image has the name of the agent image, unless that is known.
    async fn learn_agent_image(&self) {
        if self.images.current.contains_key(&self.settings.image) {
            return;
        }
        if let Ok(Some(image)) = self.engine.image(&self.settings.image).await {
            self.images.current.entry(self.settings.image.clone()).or_insert(image.id);
        }
    }
}

/// Waits for the next reason to look at the images. Returns false if the connection to the engine is broken.
async fn changed(changes: Option<&mut ImageChanges>) -> bool {
    let Some(changes) = changes else {
        tokio::time::sleep(LOOK_AGAIN).await;
        return false;
    };
    tokio::select! {
        change = changes.next() => {
            if change.is_none() {
                tokio::time::sleep(PATIENCE).await;
            }
            change.is_some()
        }
        () = tokio::time::sleep(LOOK_AGAIN) => true,
    }
}
