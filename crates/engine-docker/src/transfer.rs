use std::time::Duration;

use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, LogsOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

use super::{CALL_TIMEOUT, DockerEngine};
use engine::{ContainerId, EngineError, Operation, TarSource, TarStream};

/// The time limit of an upload, which ends when the last byte is on disk: more than 1 GB at 5 MB/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// Number of log lines to request. The last bytes of them are returned.
const LOG_LINES: &str = "200";

impl DockerEngine {
    pub(super) async fn send_archive(&self, id: &ContainerId, path: &str, tar: TarSource) -> Result<(), EngineError> {
        let client = self.client(Operation::Upload).await?;
        let body = match tar {
            TarSource::Bytes(bytes) => bollard::body_full(bytes),
            TarSource::Stream(stream) => bollard::body_try_stream(stream),
        };
        let options = UploadToContainerOptionsBuilder::new().path(path).build();
        let call = client.upload_to_container(id.as_str(), Some(options), body);
        self.bounded(Operation::Upload, &place(id, path), UPLOAD_TIMEOUT, call).await
    }

    pub(super) async fn receive_archive(&self, id: &ContainerId, path: &str) -> Result<TarStream, EngineError> {
        let client = self.client(Operation::Download).await?;
        let context = self.context(Operation::Download, &place(id, path));
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut pieces = client.download_from_container(id.as_str(), Some(options));

        // If the engine rejects the request, the error is the first piece.
        let first =
            self.bounded(Operation::Download, &context.name, CALL_TIMEOUT, async { pieces.next().await.transpose() });
        let first: Option<Bytes> = first.await?;

        let rest = stream::unfold(Some((pieces, context)), |state| async move {
            let (mut pieces, context) = state?;
            match timeout(CALL_TIMEOUT, pieces.next()).await {
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some((pieces, context)))),
                Ok(Some(Err(error))) => Some((Err(context.error(error)), None)),
                Ok(None) => None,
                Err(_) => {
                    let seconds = CALL_TIMEOUT.as_secs();
                    let error = EngineError::Timeout { operation: context.operation, name: context.name, seconds };
                    Some((Err(error), None))
                }
            }
        });
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    pub(super) async fn last_output(&self, id: &ContainerId, max_bytes: usize) -> Result<String, EngineError> {
        let client = self.client(Operation::Logs).await?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(LOG_LINES).build();
        let read = client.logs(id.as_str(), Some(options)).try_fold(Vec::new(), |mut text, piece| async move {
            text.extend_from_slice(&piece.into_bytes());
            Ok(text)
        });
        let text = self.bounded(Operation::Logs, id.as_str(), CALL_TIMEOUT, read).await?;
        let tail = &text[text.len().saturating_sub(max_bytes)..];
        Ok(String::from_utf8_lossy(tail).into_owned())
    }
}

/// Names a path in a container, for errors.
fn place(id: &ContainerId, path: &str) -> String {
    format!("{id}:{path}")
}
