//! Git over HTTP for repository tasks: the sandbox's git uses `/github/OWNER/NAME.git/…` here, and the gateway adds the token for
//! the forge. It checks each fetch and push before it forwards anything.
//!
//! The protocol is git's "smart HTTP" (gitprotocol-http and gitprotocol-pack in git's documentation).

mod commands;
mod examination;
mod lfs;
mod pack;
mod path;
mod pkt;
mod push;
mod report;
mod submodules;
mod workflows;

pub use commands::PushPolicy;
pub(super) use examination::Examinations;

use std::sync::Arc;

use domain::repository::RepositoryName;
use forge::{GitHub, GitHubError};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use observe::audit;

use self::path::{GitCall, GitService, Step};
use super::answer::{Body, BoxError, empty, full, in_words, proxy_error};
use super::sandbox::SandboxGateway;

/// The path below which the sandbox's git finds the forge.
pub const PREFIX: &str = "/github";

const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
/// The headers of git's requests that the forge needs.
const PASSED: [HeaderName; 4] = [ACCEPT, CONTENT_TYPE, CONTENT_ENCODING, GIT_PROTOCOL];

/// The access of one sandbox to the forge.
#[derive(Clone)]
pub struct RepositoryAccess {
    pub github: GitHub,
    pub name: RepositoryName,
    /// Submodules, which may be fetched too.
    pub submodules: Vec<RepositoryName>,
    pub push: PushPolicy,
    /// The branch from which the task's branch starts.
    pub base: String,
    /// Commits that the forge had before the task: of the base branch, and of the task's own branch.
    pub known: Vec<String>,
    pub workflows: Workflows,
}

/// Allows or forbids pushes that change `.github/workflows`, which the forge runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workflows {
    Fixed,
    Changeable,
}

/// Answers a request below [`PREFIX`].
pub(super) async fn answer(sandbox: &Arc<SandboxGateway>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    if path.contains(".git/info/lfs/") {
        return without_lfs();
    }
    let call = GitCall::parse(request.method(), path, request.uri().query());
    let (Some(access), Some(call)) = (sandbox.repository(), call) else {
        return refuse(StatusCode::NOT_FOUND, "there is nothing for git here");
    };
    let is_own = call.repository == access.name;
    if !is_own && (call.service == GitService::Push || !access.submodules.contains(&call.repository)) {
        tracing::info!(target: audit::TARGET, { git.repository = %call.repository, git.decision = "refused" }, "git");
        return refuse(StatusCode::FORBIDDEN, &format!("this task is about {} only", access.name));
    }
    tracing::info!(target: audit::TARGET, { git.repository = %call.repository, git.decision = ?call.service }, "git");
    if call.service == GitService::Push {
        sandbox.begin_push();
    }
    let answered = match (call.service, call.step) {
        (GitService::Push, Step::Exchange) => Ok(push::answer(&access, sandbox, request).await),
        (GitService::Push, Step::Advertise) | (GitService::Fetch, _) => pass(&access, &call, request).await,
    };
    answered.unwrap_or_else(|error| {
        if call.service == GitService::Push {
            sandbox.note_push_failure(&error);
        }
        broken(&error)
    })
}

/// Forwards a request and its answer, both as streams.
async fn pass(
    access: &RepositoryAccess,
    call: &GitCall,
    request: Request<Incoming>,
) -> Result<Response<Body>, GitHubError> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = match (call.step, call.service) {
        (Step::Advertise, _) => format!("/info/refs{query}"),
        (Step::Exchange, GitService::Fetch) => "/git-upload-pack".to_owned(),
        (Step::Exchange, GitService::Push) => "/git-receive-pack".to_owned(),
    };
    let body = (head.method == Method::POST).then(|| reqwest::Body::wrap_stream(body.into_data_stream()));
    let response = access.github.git(&call.repository, head.method, &path, &passed(&head.headers), body).await?;
    let mut answer = empty(response.status());
    for name in [CONTENT_TYPE, http::header::CACHE_CONTROL] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    let pieces = futures::stream::try_unfold(response, |mut response| async move {
        let piece = response.chunk().await.map_err(|error| BoxError::from(error.without_url()))?;
        Ok::<_, BoxError>(piece.map(|piece| (Frame::data(piece), response)))
    });
    *answer.body_mut() = StreamBody::new(pieces).boxed_unsync();
    Ok(answer)
}

/// The headers of the sandbox's request that go to the forge.
fn passed(headers: &HeaderMap) -> HeaderMap {
    PASSED.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value))).collect()
}

/// The answer to git-lfs, in its own form, so that it shows the sentence.
fn without_lfs() -> Response<Body> {
    let message = "Git LFS does not work from here: its files can be neither downloaded nor uploaded";
    let mut answer = full(StatusCode::FORBIDDEN, serde_json::json!({ "message": message }).to_string());
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/vnd.git-lfs+json"));
    answer
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Body> {
    proxy_error(status, "git_refused", sentence, None, None)
}

/// The answer for an error of the forge. The sentence is for the agent, which reads git's output.
fn broken(error: &GitHubError) -> Response<Body> {
    tracing::warn!(%error, "could not forward a git request");
    let status = match error {
        GitHubError::NotFound(_) | GitHubError::Moved(_) => StatusCode::NOT_FOUND,
        // After a 401, git would ask for a password.
        GitHubError::Unauthorized(_)
        | GitHubError::MissingRights(_)
        | GitHubError::Archived(_)
        | GitHubError::Protected(_)
        | GitHubError::Forbidden(_)
        | GitHubError::Invalid(_) => StatusCode::FORBIDDEN,
        GitHubError::RateLimited(_) | GitHubError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        GitHubError::Unavailable { .. }
        | GitHubError::Unreachable(_)
        | GitHubError::Malformed(_)
        | GitHubError::TooLarge
        | GitHubError::Incomplete(_)
        | GitHubError::Signature(_) => StatusCode::BAD_GATEWAY,
    };
    let mut answer = full(status, format!("{}\n", in_words(error)));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    answer
}
