//! Requests for files, as far as a session makes them: an archive goes into the workspace. A test can make
//! [`Operation::Upload`](engine::Operation::Upload) of the engine hang or fail, and the request does the same.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::sandbox::WORKSPACE;
use engine::{ContainerId, Engine as _, EngineError, FakeEngine, TarSource};
use sandbox_link::files::{Action, Failure, FailureKind, FileFrame, Summary, Ticket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The pause while the engine is away, without which a sandbox serves its files.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn serve(socket: PathBuf, ticket: Ticket, engine: FakeEngine, container: ContainerId) {
    // The coordinator may be killed at any time.
    let _ = try_serve(socket, ticket, engine, container).await;
}

async fn try_serve(socket: PathBuf, ticket: Ticket, engine: FakeEngine, container: ContainerId) -> Option<()> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(&ticket.0).await.ok()?;
    let FileFrame::Request(request) = receive(&mut stream).await? else { return None };
    assert_eq!((request.root.as_str(), &*request.path, request.action), (WORKSPACE, b"".as_slice(), Action::Unpack));
    let mut archive = BytesMut::new();
    while let FileFrame::Data(data) = receive(&mut stream).await? {
        archive.extend_from_slice(&data);
    }
    let archive: Bytes = archive.freeze();
    let answer = loop {
        match engine.upload(&container, WORKSPACE, TarSource::Bytes(archive.clone())).await {
            Ok(()) => break FileFrame::Done(Summary::default()),
            Err(EngineError::Unreachable { .. }) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                break FileFrame::Failed(Failure { kind: FailureKind::Other, message: error.to_string() });
            }
        }
    };
    let mut frame = BytesMut::new();
    answer.encode(&mut frame);
    stream.write_all(&frame).await.ok()
}

async fn receive(stream: &mut UnixStream) -> Option<FileFrame> {
    let length = stream.read_u32_le().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut frame).await.ok()?;
    FileFrame::decode(frame.into()).ok()
}
