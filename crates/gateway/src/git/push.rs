//! A push: the gateway checks its commands, sends its objects to the forge under a ref without meaning there, examines them, and
//! only then moves the branch.
//!
//! So a commit that changes `.github/workflows` is never on a branch, where the forge would run it, and neither is a pointer of Git
//! LFS without its file. The ref is `refs/claude-runner/…`, neither a branch nor a tag, and is removed immediately afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use forge::{GitHubError, RefUpdate};
use futures::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use observe::audit;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use super::commands::{Command, Grant, PushError, PushHead};
use super::report::{self, RefResult};
use super::{RepositoryAccess, Workflows, examination, passed, pkt, refuse, workflows};
use crate::answer::{Body, full, in_words};
use crate::sandbox::SandboxGateway;

/// The commands of an allowed push have some hundred bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The forge's answer has a line for each ref, and remarks.
const MAX_REPORT_BYTES: usize = 1 << 20;
const REPORT_STATUS: &str = "report-status";
/// This capability adds lines to the first one's report. A report without them is also valid.
const REPORT_STATUS_V2: &str = "report-status-v2";
const REPORT: HeaderValue = HeaderValue::from_static("application/x-git-receive-pack-result");

pub(super) async fn answer(
    access: &Arc<RepositoryAccess>,
    sandbox: &Arc<SandboxGateway>,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let (head, rest) = match read_head(&mut body).await {
        Ok(read) => read,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let capabilities = &head.capabilities;
    // Before a long push, git sends only a flush packet to check that it may push.
    if head.commands.is_empty() {
        return reported(Vec::new());
    }
    if ![REPORT_STATUS, REPORT_STATUS_V2].iter().any(|wanted| capabilities.contains(*wanted)) {
        return refuse(StatusCode::BAD_REQUEST, "a push has to ask for report-status");
    }
    let judged = {
        let made = sandbox.made.borrow();
        head.commands.iter().map(|command| access.push.judge(command, &made)).collect::<Vec<_>>()
    };
    let Ok(grants) = judged.iter().cloned().collect::<Result<Vec<Grant>, String>>() else {
        // git reads the answer only after it has sent everything.
        while body.frame().await.is_some() {}
        let other = || "another ref of this push was refused".to_owned();
        let results = judged.into_iter().map(|judged| RefResult::Refused(judged.err().unwrap_or_else(other)));
        return report_results(&head.commands, results, b"", capabilities);
    };

    let Ok(slot) = Arc::clone(&sandbox.pushes).try_acquire_owned() else {
        return refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "too many pushes of this sandbox have not ended: push again later",
        );
    };
    let push = Push { access: Arc::clone(access), sandbox: Arc::clone(sandbox), head, grants, _slot: slot };
    // A push continues if the agent kills its git, because it removes its temporary refs at its end.
    let pushed = sandbox.shared.tracker.spawn(push.run(passed(&parts.headers), rest, body).in_current_span());
    pushed.await.unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the push failed"))
}

/// A push whose commands are allowed.
struct Push {
    access: Arc<RepositoryAccess>,
    sandbox: Arc<SandboxGateway>,
    head: PushHead,
    grants: Vec<Grant>,
    _slot: OwnedSemaphorePermit,
}

impl Push {
    /// `rest` is the beginning of the pack, and `body` the other part.
    async fn run(self, headers: HeaderMap, rest: BytesMut, body: Incoming) -> Response<Body> {
        let Push { access, sandbox, head, grants, _slot } = self;
        let waiting = Waiting::new(&head.commands);
        let first = [waiting.head(&head), rest.to_vec()].concat();
        let pieces = futures::stream::once(async move { Ok(Bytes::from(first)) }).chain(body.into_data_stream());
        let stream = reqwest::Body::wrap_stream(pieces);
        let sent = access.github.git(&access.name, Method::POST, "/git-receive-pack", &headers, Some(stream)).await;
        let concluded = match sent {
            Ok(response) => conclude(&access, &sandbox, &head, &grants, &waiting, response).await,
            Err(error) => Err(error),
        };
        // The objects may have arrived although the answer did not.
        waiting.remove(&access).await;
        concluded.unwrap_or_else(|error| failed(&sandbox, &head, &error))
    }
}

/// The answer to a push that the forge did not conclude.
fn failed(sandbox: &SandboxGateway, head: &PushHead, error: &GitHubError) -> Response<Body> {
    // git shows the reason in a report, but not the reason of a status.
    tracing::warn!(%error, "a push failed");
    sandbox.note_push_failure(error);
    let results = head.commands.iter().map(|_| RefResult::Refused(in_words(error)));
    report_results(&head.commands, results, b"", &head.capabilities)
}

/// Reads up to the pack, and returns the beginning of the pack that was read along.
async fn read_head(body: &mut Incoming) -> Result<(PushHead, BytesMut), PushError> {
    let mut bytes = BytesMut::new();
    loop {
        if let Some(head) = PushHead::parse(&bytes)? {
            let rest = bytes.split_off(head.length);
            return Ok((head, rest));
        }
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(PushError::TooMany);
        }
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) | None => return Err(PushError::Malformed("it ends too early")),
        }
    }
}

/// The refs under which the objects wait at the forge, one for each command.
struct Waiting(Vec<String>);

impl Waiting {
    fn new(commands: &[Command]) -> Self {
        let name = |_: &Command| format!("refs/claude-runner/{:032x}", rand::random::<u128>());
        Waiting(commands.iter().map(name).collect())
    }

    /// Builds the head of the push that goes to the forge.
    fn head(&self, head: &PushHead) -> Vec<u8> {
        // These capabilities need more than this push has. The extra lines of `report-status-v2` are not parsed here.
        let dropped = ["atomic", "push-options", REPORT_STATUS, REPORT_STATUS_V2];
        let kept = head.capabilities.iter().map(String::as_str).filter(|capability| !dropped.contains(capability));
        let capabilities: Vec<&str> = std::iter::once(REPORT_STATUS).chain(kept).collect();
        let mut bytes = Vec::new();
        for (at, (command, reference)) in head.commands.iter().zip(&self.0).enumerate() {
            let none = "0".repeat(command.new.len());
            let said = if at == 0 { format!("\0{}", capabilities.join(" ")) } else { String::new() };
            bytes.extend(pkt::encode(format!("{none} {} {reference}{said}", command.new).as_bytes()));
        }
        bytes.extend(b"0000");
        bytes
    }

    async fn remove(&self, access: &RepositoryAccess) {
        for reference in &self.0 {
            match access.github.delete_reference(&access.name, reference).await {
                Ok(()) | Err(GitHubError::NotFound(_) | GitHubError::Invalid(_)) => {}
                Err(error) => tracing::warn!(%error, reference, "could not remove a temporary ref"),
            }
        }
    }
}

/// Examines the objects, which are at the forge now, and moves the branches.
async fn conclude(
    access: &RepositoryAccess,
    sandbox: &SandboxGateway,
    head: &PushHead,
    grants: &[Grant],
    waiting: &Waiting,
    mut response: reqwest::Response,
) -> Result<Response<Body>, GitHubError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| GitHubError::Unreachable(error.without_url()))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_REPORT_BYTES {
            return Err(GitHubError::Malformed("too long a report".to_owned()));
        }
    }
    // A proxy in front of the forge answers with a page of its own for a moment.
    let report = report::parse(&bytes, &head.capabilities)
        .map_err(|error| GitHubError::Unavailable { status: 502, message: error.to_string() })?;
    let arrived = |reference: &String| report.results.get(reference) == Some(&RefResult::Updated);
    let commits: BTreeSet<&str> = head
        .commands
        .iter()
        .zip(&waiting.0)
        .filter(|(_, name)| arrived(name))
        .map(|(command, _)| &*command.new)
        .collect();
    let commits: Vec<&str> = commits.into_iter().collect();
    let objection = if commits.is_empty() { None } else { examination::objection(access, sandbox, &commits).await? };
    let mut results = Vec::new();
    for ((command, grant), reference) in head.commands.iter().zip(grants).zip(&waiting.0) {
        let result = match (report.results.get(reference), &objection) {
            (Some(RefResult::Updated), Some(reason)) => RefResult::Refused(reason.clone()),
            // A failure for one branch does not hide that another one moved.
            (Some(RefResult::Updated), None) => update_branch(access, command, *grant).await.unwrap_or_else(|error| {
                sandbox.note_push_failure(&error);
                RefResult::Refused(in_words(&error))
            }),
            (Some(RefResult::Refused(reason)), _) => {
                if let Some(error) = GitHubError::of_push_report(reason) {
                    sandbox.note_push_failure(&error);
                }
                RefResult::Refused(reason.clone())
            }
            (None, _) => RefResult::Refused("the forge did not take the objects".to_owned()),
        };
        if let (RefResult::Updated, Some(branch)) = (&result, command.branch()) {
            sandbox.note_push(branch, &command.new, &access.push);
        }
        results.push(result);
    }
    Ok(report_results(&head.commands, results.into_iter(), &report.remarks, &head.capabilities))
}

async fn update_branch(access: &RepositoryAccess, command: &Command, grant: Grant) -> Result<RefResult, GitHubError> {
    let (github, name) = (&access.github, &access.name);
    if access.workflows == Workflows::Fixed
        && let Some(reason) = workflows::objection(access, &command.new).await?
    {
        return Ok(RefResult::Refused(reason));
    }
    let Some(branch) = command.branch() else { return Ok(RefResult::Refused("it is not a branch".to_owned())) };
    // Without this check, a branch that someone else made at this commit would look like the effect of a call whose answer is lost.
    if grant == Grant::Create && github.branch(name, branch).await?.is_some() {
        return Ok(RefResult::Refused(format!("Reference already exists: this task did not make the branch {branch}")));
    }
    let update = match grant {
        Grant::Create => RefUpdate::Create,
        Grant::CreateOrMove if command.creates() => RefUpdate::Create,
        Grant::CreateOrMove => RefUpdate::FastForward,
    };
    match github.update_branch(name, branch, &command.new, update).await {
        Ok(()) => Ok(RefResult::Updated),
        // The call may have had its effect, although its response was lost.
        Err(error) if error.is_passing() && github.branch(name, branch).await?.as_ref() == Some(&command.new) => {
            Ok(RefResult::Updated)
        }
        Err(GitHubError::Invalid(message)) => Ok(RefResult::Refused(message)),
        Err(error) => Err(error),
    }
}

fn report_results(
    commands: &[Command],
    results: impl Iterator<Item = RefResult>,
    remarks: &[u8],
    capabilities: &BTreeSet<String>,
) -> Response<Body> {
    let results: Vec<_> = commands.iter().map(|command| command.reference.as_str()).zip(results).collect();
    for (reference, result) in &results {
        tracing::info!(target: audit::TARGET, { git.reference = reference, git.decision = ?result }, "push");
    }
    reported(report::make(&results, remarks, capabilities))
}

fn reported(report: Vec<u8>) -> Response<Body> {
    let mut answer = full(StatusCode::OK, report);
    answer.headers_mut().insert(CONTENT_TYPE, REPORT);
    answer
}
