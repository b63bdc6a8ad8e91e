use std::collections::VecDeque;

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

/// The lines of a step's output that are kept for the error of the step, and their size in bytes.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 4096;

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
    let mut step = StepOutput::default();
    while let Some(line) = lines.next().await {
        let progress = match line {
            Ok(info) => read(info, &spec.tag, &mut image_id, &mut step),
            Err(Error::DockerStreamError { error }) => Err(failed(&spec.tag, step.explain(error))),
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
fn read(
    info: BuildInfo,
    tag: &str,
    image_id: &mut Option<String>,
    step: &mut StepOutput,
) -> Result<Option<BuildProgress>, EngineError> {
    if let Some(detail) = info.error_detail {
        let reason = detail.message.unwrap_or_else(|| "the builder gave no reason".to_owned());
        return Err(failed(tag, step.explain(reason)));
    }
    if let Some(id) = info.aux.and_then(|aux| aux.id) {
        *image_id = Some(id);
    }
    if let Some(output) = &info.stream {
        step.add(output);
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

/// The last lines of the step that the builder executes. The builder's own error has the exit code only.
#[derive(Default)]
struct StepOutput {
    lines: VecDeque<String>,
}

impl StepOutput {
    fn add(&mut self, output: &str) {
        for line in output.lines().map(|line| strip_colours(line.trim_end())).filter(|line| !line.trim().is_empty()) {
            if is_step(&line) {
                self.lines.clear();
            }
            // These lines of the builder are no output of the step.
            if !is_step(&line) && !line.starts_with(" ---> ") && !line.starts_with("Removing intermediate container ") {
                self.lines.push_back(line);
            }
            let mut bytes: usize = self.lines.iter().map(String::len).sum();
            while self.lines.len() > KEPT_LINES || (bytes > KEPT_BYTES && self.lines.len() > 1) {
                bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            }
        }
    }

    /// Appends the output to the reason of the step's failure.
    fn explain(&self, reason: String) -> String {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        if lines.is_empty() {
            return reason;
        }
        format!("{}; the step's last output:\n  {}", reason.trim_end(), lines.join("\n  "))
    }
}

/// The classic builder begins each step with a line like `Step 3/14 : RUN …`, Podman with `STEP 3/14: RUN …`.
fn is_step(line: &str) -> bool {
    line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("step "))
        && line[5..].starts_with(|first: char| first.is_ascii_digit())
}

/// Removes escape sequences: the builder colours the errors of a step.
fn strip_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::StepOutput;

    #[test]
    fn the_last_lines_of_the_failed_step_explain_it() {
        let mut step = StepOutput::default();
        step.add("Step 1/3 : FROM debian\n");
        step.add(" ---> 2ecf5d4ce03d\n");
        step.add("Step 2/3 : RUN apt-get install nothing\n");
        step.add(" ---> Running in 5f\n");
        step.add("Reading package lists...\n\u{1b}[91mE: Unable to locate package nothing\n\u{1b}[0m");
        assert_eq!(
            step.explain("The command returned a non-zero code: 100".to_owned()),
            "The command returned a non-zero code: 100; the step's last output:\n  Reading package lists...\n  E: Unable \
             to locate package nothing"
        );

        step.add("Step 3/3 : COPY x y\n");
        assert_eq!(step.explain("there is no x".to_owned()), "there is no x", "the output of an earlier step is gone");
    }

    #[test]
    fn the_kept_output_is_bounded() {
        let mut step = StepOutput::default();
        for line in 0..1000 {
            step.add(&format!("line {line} {}\n", "x".repeat(500)));
        }
        let text = step.explain("failed".to_owned());
        assert!(text.len() < 5000 && text.contains("line 999 ") && !text.contains("line 900 "), "{}", text.len());
    }
}
