//! Git over HTTP for repository tasks: the sandbox's git speaks to `/github/OWNER/NAME.git/…` here, and the token is
//! added on the way to the forge. What may be fetched and pushed is decided before anything goes out.
//!
//! The protocol is git's "smart HTTP" (gitprotocol-http and gitprotocol-pack in git's documentation).

mod commands;
mod path;
mod pkt;
mod push;
mod report;

pub use commands::PushPolicy;

use std::sync::Arc;

use domain::repository::RepositoryName;
use forge::{GitHub, GitHubError};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use observe::audit;
use secrecy::ExposeSecret as _;

use self::path::{GitCall, Service, Step};
use super::answer::{Body, BoxError, empty, full, in_words, proxy_error};
use super::sandbox::SandboxGateway;

/// Below which path the sandbox's git finds the forge.
pub const PREFIX: &str = "/github";

const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
/// Headers of git's requests that the forge needs.
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
    let call = GitCall::parse(request.method(), path, request.uri().query());
    let (Some(access), Some(call)) = (sandbox.repository(), call) else {
        return refuse(StatusCode::NOT_FOUND, "there is nothing for git here");
    };
    let is_own = call.repository == access.name;
    if !is_own && (call.service == Service::Push || !access.submodules.contains(&call.repository)) {
        tracing::info!(target: audit::TARGET, { git.repository = %call.repository, git.decision = "refused" }, "git");
        return refuse(StatusCode::FORBIDDEN, &format!("this task is about {} only", access.name));
    }
    tracing::info!(target: audit::TARGET, { git.repository = %call.repository, git.decision = ?call.service }, "git");
    let passed = match (call.service, call.step) {
        (Service::Push, Step::Exchange) => push::answer(&access, &sandbox.pushed, request).await,
        (Service::Push, Step::Advertise) | (Service::Fetch, _) => pass(&access, &call, request).await,
    };
    passed.unwrap_or_else(|error| broken(&error))
}

/// Sends a request on, and its answer back, both as they come.
async fn pass(
    access: &RepositoryAccess,
    call: &GitCall,
    request: Request<Incoming>,
) -> Result<Response<Body>, GitHubError> {
    let (head, body) = request.into_parts();
    let uri = head.uri.path_and_query().map_or("", |path| path.as_str());
    let rest = uri.strip_prefix(PREFIX).unwrap_or_default();
    let body = (head.method == Method::POST).then(|| reqwest::Body::wrap_stream(body.into_data_stream()));
    let response = send(&access.github, &call.repository, head.method, rest, &head.headers, body).await?;
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

/// Asks the forge's git, with the token.
async fn send(
    github: &GitHub,
    repository: &RepositoryName,
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: Option<reqwest::Body>,
) -> Result<reqwest::Response, GitHubError> {
    let token = github.token(repository).await?;
    let mut request = github.git(method, path).basic_auth("x-access-token", Some(token.expose_secret()));
    for name in PASSED {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value.clone());
        }
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.map_err(|error| GitHubError::Unreachable(error.without_url()))?;
    match response.status() {
        // git would ask for a password, which nobody has.
        StatusCode::UNAUTHORIZED => Err(GitHubError::Unauthorized("git was refused".to_owned())),
        status if status.is_redirection() => Err(GitHubError::NotFound(repository.to_string())),
        _ => Ok(response),
    }
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Body> {
    proxy_error(status, "git_refused", sentence, None, None)
}

/// An error of the forge. The sentence is for the agent, which reads what git prints.
fn broken(error: &GitHubError) -> Response<Body> {
    tracing::warn!(%error, "could not forward a git request");
    let status = match error {
        GitHubError::NotFound(_) => StatusCode::NOT_FOUND,
        GitHubError::Unauthorized(_) | GitHubError::Forbidden(_) | GitHubError::Invalid(_) => StatusCode::FORBIDDEN,
        GitHubError::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        GitHubError::Unavailable { .. }
        | GitHubError::Unreachable(_)
        | GitHubError::Malformed(_)
        | GitHubError::Signature(_) => StatusCode::BAD_GATEWAY,
    };
    let mut answer = full(status, format!("{}\n", in_words(error)));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    answer
}
