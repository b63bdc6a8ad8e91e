//! One call to the forge: send, classify the response, and retry if a retry can help.

use std::time::Duration;

use http::{Method, StatusCode};
use network_access::NetworkAccess;
use reqwest::{Client, ClientBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{GitHub, GitHubError, rate};

const API_VERSION: &str = "2022-11-28";
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum pause in a git response. The forge sends progress at least this often while it packs or unpacks.
const GIT_SILENCE: Duration = Duration::from_mins(5);
/// The maximum size of a response. The largest page of repositories has about 700 KB.
const MAX_BODY_BYTES: usize = 8 << 20;
/// The pauses before the retries of a call that failed for a transient reason.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// The number of redirects that a call follows.
const MAX_REDIRECTS: usize = 3;
/// The longest time to wait for a rate limit. A limit that takes longer is an error.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

pub(super) fn for_calls(network: &NetworkAccess) -> Result<Client, GitHubError> {
    builder(network).timeout(TIMEOUT).build().map_err(GitHubError::Unreachable)
}

pub(super) fn for_git(network: &NetworkAccess) -> Result<Client, GitHubError> {
    builder(network).read_timeout(GIT_SILENCE).build().map_err(GitHubError::Unreachable)
}

/// The client follows no redirects. [`GitHub`] follows those of a renamed repository itself: the token must not go to another host.
fn builder(network: &NetworkAccess) -> ClientBuilder {
    network.client().connect_timeout(TIMEOUT).user_agent(concat!("claude-runner/", env!("CARGO_PKG_VERSION")))
}

/// The error body of the forge.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
    errors: Vec<Value>,
}

impl GitHub {
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, GitHubError> {
        let url = format!("{}{path}", self.state.api_url.as_str().trim_end_matches('/'));
        self.ask(token, method, &url, body).await.map(|(value, _)| value)
    }

    /// Sends a request and retries it if that can help. Returns the decoded body, and the URL of the next page if there
    /// is one.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(T, Option<String>), GitHubError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.try_once(token, &method, url, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                GitHubError::RateLimited(wait) | GitHubError::Throttled(wait) if *wait <= LONGEST_WAIT => {
                    pauses.next().map(|_| *wait)
                }
                // Only a GET is repeated: any other call may already have had its effect.
                _ if error.is_passing() && method == Method::GET => pauses.next(),
                _ => None,
            };
            let Some(pause) = pause else { return Err(error) };
            tracing::info!(%error, ?pause, "the call to the forge is repeated");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_once<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(T, Option<String>), GitHubError> {
        let path = url.strip_prefix(self.state.api_url.as_str().trim_end_matches('/')).unwrap_or(url);
        let mut response = self.send_once(token, method, url, body).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = self.same_origin(&response) else { break };
            self.state.names.note_redirect(path);
            response = self.send_once(token, method, target.as_str(), body).await?;
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(&mut response).await?;
        if status.is_success() {
            let body = if body.is_empty() { b"null" } else { &body[..] };
            let value = serde_json::from_slice(body).map_err(|error| not_json(status, body, &error))?;
            return Ok((value, next_page(&headers)));
        }
        let message = message_in(&body);
        let changes = *method != Method::GET;
        Err(rate::limit_of(status.as_u16(), &headers, &message)
            .unwrap_or_else(|| GitHubError::of_status(status, path, message, changes)))
    }

    async fn send_once(
        &self,
        token: &SecretString,
        method: &Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Response, GitHubError> {
        let mut request = self
            .state
            .http
            .request(method.clone(), url)
            .bearer_auth(token.expose_secret())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| GitHubError::Unreachable(error.without_url()))?;
        self.state.rate.note(response.headers());
        Ok(response)
    }

    /// The target of a redirect, if the token may follow: the API's own scheme, host and port.
    fn same_origin(&self, response: &Response) -> Option<Url> {
        if !response.status().is_redirection() {
            return None;
        }
        let location = response.headers().get(http::header::LOCATION)?.to_str().ok()?;
        let target = response.url().join(location).ok()?;
        (target.origin() == self.state.api_url.origin()).then_some(target)
    }
}

/// A page of HTML with a status of success is a proxy's, in front of the forge, and passes like its other errors.
fn not_json(status: StatusCode, body: &[u8], error: &serde_json::Error) -> GitHubError {
    if body.trim_ascii_start().starts_with(b"<") {
        let message = "a page of HTML, which is not the forge's API".to_owned();
        return GitHubError::Unavailable { status: status.as_u16(), message };
    }
    GitHubError::Malformed(error.to_string())
}

pub(super) async fn read(response: &mut Response) -> Result<Vec<u8>, GitHubError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| GitHubError::Unreachable(error.without_url()))? {
        if body.len() + piece.len() > MAX_BODY_BYTES {
            return Err(GitHubError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The message of an error's body, with its details.
pub(super) fn message_in(body: &[u8]) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let details = problem.errors.iter().filter_map(|error| match error {
        Value::String(text) => Some(text.clone()),
        error => error["message"]
            .as_str()
            .map(str::to_owned)
            .or_else(|| Some(format!("{} {}", error["field"].as_str()?, error["code"].as_str()?))),
    });
    let parts = [problem.message].into_iter().chain(details).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    parts.join(": ")
}

/// Parses `Link: <…?page=2>; rel="next", <…>; rel="last"`.
fn next_page(headers: &http::HeaderMap) -> Option<String> {
    let link = headers.get(http::header::LINK)?.to_str().ok()?;
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    rest.split_once('>').map(|(url, _)| url.to_owned())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use super::not_json;

    #[test]
    fn a_page_of_a_proxy_is_an_error_that_passes() {
        for (body, is_passing) in [("\n<!DOCTYPE html><html>", true), ("{\"sha\": ", false), ("ok", false)] {
            let error = serde_json::from_str::<Value>(body).unwrap_err();
            assert_eq!(not_json(StatusCode::OK, body.as_bytes(), &error).is_passing(), is_passing, "{body}");
        }
    }
}
