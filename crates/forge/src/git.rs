//! Requests to the forge's git server, with the token.

use domain::repository::RepositoryName;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Body, RequestBuilder, Response};
use secrecy::ExposeSecret as _;

use super::{GitHub, GitHubError};

/// The size of an error's body that is read.
const MAX_ERROR_BYTES: usize = 4096;

impl GitHub {
    /// Returns the current name of a repository, as far as the forge has reported it.
    pub fn present_name(&self, name: &RepositoryName) -> RepositoryName {
        self.state.names.present(name).unwrap_or_else(|| name.clone())
    }

    /// Sends a request to the git server. `path` is below the repository: `/info/refs?service=…`. Returns the response
    /// if it is a success.
    ///
    /// The forge redirects from the old name of a repository. A request without a body is then sent again to the present
    /// name; one with a body fails once, and the next one goes to the present name.
    pub async fn git(
        &self,
        name: &RepositoryName,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, GitHubError> {
        let is_repeatable = body.is_none();
        let mut response = self.send_git(name, method.clone(), path, headers, body).await?;
        if response.status().is_redirection() {
            let present = self.repository(name).await?.full_name;
            if !is_repeatable {
                let message = format!("{name} is at {present} now; try again");
                return Err(GitHubError::Unavailable { status: response.status().as_u16(), message });
            }
            response = self.send_git(&present, method.clone(), path, headers, None).await?;
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let changes = path.ends_with("git-receive-pack");
        let headers = response.headers().clone();
        let message = message_of(response).await;
        if let Some(limit) = super::rate::limit_of(status.as_u16(), &headers, &message) {
            return Err(limit);
        }
        Err(GitHubError::of_status(status, &format!("/repos/{name}"), message, changes))
    }

    async fn send_git(
        &self,
        name: &RepositoryName,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, GitHubError> {
        let request = self.git_request(name, method, path).await?.headers(headers.clone());
        let request = if let Some(body) = body { request.body(body) } else { request };
        request.send().await.map_err(|error| GitHubError::Unreachable(error.without_url()))
    }

    pub(super) async fn git_request(
        &self,
        name: &RepositoryName,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, GitHubError> {
        let token = self.token(name).await?;
        let (forge, name) = (self.state.url.as_str().trim_end_matches('/'), self.present_name(name));
        let url = format!("{forge}/{name}.git{path}");
        Ok(self.state.git.request(method, url).basic_auth("x-access-token", Some(token.expose_secret())))
    }
}

/// Returns the message of an error. The git server answers in plain text, and its front end in the API's form.
async fn message_of(mut response: Response) -> String {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ERROR_BYTES {
            bytes.truncate(MAX_ERROR_BYTES);
            break;
        }
    }
    let text = super::client::message_in(&bytes);
    let text = if text.is_empty() { String::from_utf8_lossy(&bytes).into_owned() } else { text };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('<'));
    match (line, status) {
        (Some(line), _) => line.to_owned(),
        (None, StatusCode::UNAUTHORIZED) => "git was refused".to_owned(),
        (None, status) => format!("git was answered with {status}"),
    }
}
