use bollard::Docker;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder};
use futures::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::failure::{CallContext, is_full};
use engine::{BuildCache, BuildProgress, BuildSpec, BuildStream, EngineError, Operation};

/// Number of lines that wait for a slow reader before the builder waits too.
const LINES_AHEAD: usize = 64;

/// Starts the build and streams its progress. It uses the classic builder of the engine's API: every engine has it, and
/// it needs no session beside the request.
pub(super) fn stream(client: Docker, spec: BuildSpec, context: CallContext) -> BuildStream {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    // Bollard's stream borrows its client, so a task owns both. The task ends when the receiver is dropped.
    TaskTracker::new().spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = run(&client, spec, context, &sender) => {}
        }
    });
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) }).boxed()
}

async fn run(
    client: &Docker,
    spec: BuildSpec,
    context: CallContext,
    sender: &mpsc::Sender<Result<BuildProgress, EngineError>>,
) {
    let mut context = context;
    context.name.clone_from(&spec.tag);
    let options = options(&spec);
    let body = bollard::body_try_stream(spec.context.into_stream());
    let mut lines = client.build_image(options, None, Some(body));

    let mut image_id = None;
    while let Some(line) = lines.next().await {
        let progress = match line {
            Ok(info) => read(info, &spec.tag, &mut image_id),
            Err(Error::DockerStreamError { error }) => Err(failed(&spec.tag, error)),
            Err(error) => Err(context.clone().error(error)),
        };
        match progress {
            Ok(None) => {}
            Ok(Some(line)) => {
                if sender.send(Ok(line)).await.is_err() {
                    return;
                }
            }
            Err(error) => return drop(sender.send(Err(error)).await),
        }
    }
    let end = match image_id {
        Some(id) => Ok(BuildProgress::Built(id)),
        None => Err(context.unreachable("the build's response ended early")),
    };
    drop(sender.send(end).await);
}

fn options(spec: &BuildSpec) -> BuildImageOptions {
    let mut options = BuildImageOptionsBuilder::new()
        .t(&spec.tag)
        .dockerfile("Dockerfile")
        .rm(true)
        .forcerm(true)
        .nocache(spec.cache == BuildCache::Ignore)
        .build();
    options.buildargs = Some(spec.build_args.clone().into_iter().collect());
    options.labels = Some(spec.labels.clone().into_iter().collect());
    options
}

/// Reads one message of the builder: output, the state of a pull, the id of an image (the last one counts), or the
/// error that ends the build.
fn read(info: BuildInfo, tag: &str, image_id: &mut Option<String>) -> Result<Option<BuildProgress>, EngineError> {
    if let Some(detail) = info.error_detail {
        return Err(failed(tag, detail.message.unwrap_or_else(|| "the builder gave no reason".to_owned())));
    }
    if let Some(id) = info.aux.and_then(|aux| aux.id) {
        *image_id = Some(id);
    }
    let line = info.stream.or(info.status).unwrap_or_default();
    let line = line.trim_end();
    Ok((!line.is_empty()).then(|| BuildProgress::Line(line.to_owned())))
}

/// The error of a failed step, with the builder's own message.
fn failed(tag: &str, reason: String) -> EngineError {
    let name = tag.to_owned();
    if is_full(&reason) {
        EngineError::NoSpace { operation: Operation::BuildImage, name, reason }
    } else {
        EngineError::BuildFailed { tag: name, reason }
    }
}
