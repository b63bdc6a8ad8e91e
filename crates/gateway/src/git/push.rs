//! A push: what it wants is judged, its objects go to the forge under a name that means nothing there, and only when
//! they were looked at the branch is moved.
//!
//! So a commit that changes `.github/workflows` never stands on a branch, where the forge would run it. The name is
//! `refs/claude-runner/…`, neither a branch nor a tag; it is removed again at once.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use forge::{GitHubError, RefUpdate};
use futures::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use observe::audit;
use tokio::sync::watch;

use super::commands::{Command, PushError, PushHead};
use super::report::{self, RefResult};
use super::{RepositoryAccess, Workflows, pkt, refuse, send};
use crate::answer::{Body, full};

/// The commands of a push that is allowed have some hundred bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The forge's answer: a line a ref, and remarks.
const MAX_REPORT_BYTES: usize = 1 << 20;
const REPORT_STATUS: &str = "report-status";
/// Adds lines to what the first one says; an answer without them is one of its answers too.
const REPORT_STATUS_V2: &str = "report-status-v2";
const REPORT: HeaderValue = HeaderValue::from_static("application/x-git-receive-pack-result");

pub(super) async fn answer(
    access: &RepositoryAccess,
    pushed: &watch::Sender<Option<String>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, GitHubError> {
    let (parts, mut body) = request.into_parts();
    let (head, rest) = match read_head(&mut body).await {
        Ok(read) => read,
        Err(error) => return Ok(refuse(StatusCode::BAD_REQUEST, &error.to_string())),
    };
    let capabilities = &head.capabilities;
    // Before a long push git asks with a flush packet alone whether it may.
    if head.commands.is_empty() {
        return Ok(reported(Vec::new()));
    }
    if ![REPORT_STATUS, REPORT_STATUS_V2].iter().any(|wanted| capabilities.contains(*wanted)) {
        return Ok(refuse(StatusCode::BAD_REQUEST, "a push has to ask for report-status"));
    }
    let objections: Vec<_> = head.commands.iter().map(|command| access.push.objection(command)).collect();
    if objections.iter().any(Option::is_some) {
        // git reads the answer only when it has sent all.
        while body.frame().await.is_some() {}
        let other = || "another ref of this push was refused".to_owned();
        let results = objections.into_iter().map(|objection| RefResult::Refused(objection.unwrap_or_else(other)));
        return Ok(report_results(&head.commands, results, b"", capabilities));
    }

    let waiting = Waiting::new(&head.commands);
    let first = [waiting.head(&head), rest.to_vec()].concat();
    let pieces = futures::stream::once(async move { Ok(Bytes::from(first)) }).chain(body.into_data_stream());
    let path = format!("/{}.git/git-receive-pack", access.name);
    let stream = reqwest::Body::wrap_stream(pieces);
    let response = send(&access.github, &access.name, Method::POST, &path, &parts.headers, Some(stream)).await?;
    if !response.status().is_success() {
        let status = response.status().as_u16();
        return Err(GitHubError::Unavailable { status, message: "the push was not taken".to_owned() });
    }
    let outcome = conclude(access, pushed, &head, &waiting, response).await;
    waiting.remove(access).await;
    outcome
}

/// Reads up to the pack; what came of that too is given back.
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

/// The names under which the objects wait at the forge, one for each command.
struct Waiting(Vec<String>);

impl Waiting {
    fn new(commands: &[Command]) -> Self {
        let name = |_: &Command| format!("refs/claude-runner/{:032x}", rand::random::<u128>());
        Waiting(commands.iter().map(name).collect())
    }

    /// The head of the push that goes to the forge.
    fn head(&self, head: &PushHead) -> Vec<u8> {
        // Drops capabilities that need more than this push has, and `report-status-v2`: its extra lines are not parsed
        // here.
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

/// The objects are at the forge: they are looked at, and the branches moved.
async fn conclude(
    access: &RepositoryAccess,
    pushed: &watch::Sender<Option<String>>,
    head: &PushHead,
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
    let report =
        report::parse(&bytes, &head.capabilities).map_err(|error| GitHubError::Malformed(error.to_string()))?;
    let mut results = Vec::new();
    for (command, reference) in head.commands.iter().zip(&waiting.0) {
        let result = match report.results.get(reference) {
            Some(RefResult::Updated) => update_branch(access, command).await?,
            Some(RefResult::Refused(reason)) => RefResult::Refused(reason.clone()),
            None => RefResult::Refused("the forge did not take the objects".to_owned()),
        };
        if result == RefResult::Updated && command.branch() == Some(&access.push.branch) {
            pushed.send_replace(Some(command.new.clone()));
        }
        results.push(result);
    }
    Ok(report_results(&head.commands, results.into_iter(), &report.remarks, &head.capabilities))
}

async fn update_branch(access: &RepositoryAccess, command: &Command) -> Result<RefResult, GitHubError> {
    let (github, name) = (&access.github, &access.name);
    if access.workflows == Workflows::Fixed {
        let (before, after) =
            (github.workflows(name, &access.base).await?, github.workflows(name, &command.new).await?);
        if before != after {
            return Ok(RefResult::Refused("it changes .github/workflows, which is not allowed here".to_owned()));
        }
    }
    let Some(branch) = command.branch() else { return Ok(RefResult::Refused("it is not a branch".to_owned())) };
    let is_new = command.old.bytes().all(|b| b == b'0');
    let wanted = if is_new { RefUpdate::Create } else { RefUpdate::FastForward };
    match github.update_branch(name, branch, &command.new, wanted).await {
        Ok(()) => Ok(RefResult::Updated),
        Err(GitHubError::Invalid(message) | GitHubError::Forbidden(message)) => Ok(RefResult::Refused(message)),
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
