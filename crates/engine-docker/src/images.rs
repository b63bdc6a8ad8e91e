//! Names and history of images, and their changes.

use std::collections::HashMap;

use bollard::query_parameters::{EventsOptionsBuilder, TagImageOptionsBuilder};
use futures::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{CALL_TIMEOUT, DockerEngine, convert};
use engine::{EngineError, ImageChanges, Operation};

/// One change that nobody has looked at yet stands for all later ones.
const CHANGES_AHEAD: usize = 1;

impl DockerEngine {
    pub(super) async fn history_of(&self, reference: &str) -> Result<Vec<String>, EngineError> {
        let client = self.client(Operation::ImageHistory).await?;
        let call = client.image_history(reference);
        let steps = self.bounded(Operation::ImageHistory, reference, CALL_TIMEOUT, call).await?;
        Ok(steps.into_iter().map(|step| step.created_by).collect())
    }

    pub(super) async fn name_image(&self, reference: &str, name: &str) -> Result<(), EngineError> {
        let client = self.client(Operation::TagImage).await?;
        let (repository, tag) = convert::repository_and_tag(name);
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let call = client.tag_image(reference, Some(options));
        self.bounded(Operation::TagImage, reference, CALL_TIMEOUT, call).await
    }

    pub(super) async fn changes_of_images(&self) -> Result<ImageChanges, EngineError> {
        let client = self.client(Operation::ImageChanges).await?.clone();
        let filters = HashMap::from([("type", vec!["image"])]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let (sender, receiver) = mpsc::channel(CHANGES_AHEAD);
        // Bollard's stream borrows its client, so a task owns both. The task ends when the receiver is dropped.
        TaskTracker::new().spawn(async move {
            let follow = async {
                let mut events = std::pin::pin!(client.events(Some(options)));
                while let Some(Ok(_)) = events.next().await {
                    // A full channel already announces a change.
                    let _ = sender.try_send(());
                }
            };
            tokio::select! {
                () = sender.closed() => {}
                () = follow => {}
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|()| ((), receiver)) })
            .boxed())
    }
}
