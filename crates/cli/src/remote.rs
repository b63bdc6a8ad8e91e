//! The server that a command calls: its address, the key, its answers, and its refusals as sentences.

mod error;

use std::time::Duration;

use api_types::problem::Problem;
use clap::Args;
use http::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;
use tokio::time::timeout;

pub(super) use error::RemoteError;

/// A server that does not connect in this time counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time in which an answer must begin. It exceeds the time to end a container, for which `sessions delete` waits. The body has
/// no time limit.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct RemoteOptions {
    /// The server's URL
    #[arg(long, env = "CLAUDE_RUNNER_URL", value_parser = parse_url, default_value = "http://127.0.0.1:3456", global = true)]
    url: Url,

    /// An API key; better set as the variable, since others see a command's arguments
    #[arg(long, env = "CLAUDE_RUNNER_KEY", hide_env_values = true, global = true)]
    key: Option<SecretString>,
}

impl RemoteOptions {
    pub(super) fn connect(&self) -> Result<Remote, RemoteError> {
        let mut client = Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none());
        if is_loopback(&self.url) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(RemoteError::Client)?;
        let key = self.key.clone().filter(|key| !key.expose_secret().is_empty());
        if key.as_ref().is_some_and(|key| http::HeaderValue::from_str(key.expose_secret()).is_err()) {
            return Err(RemoteError::Key);
        }
        Ok(Remote { client, url: self.url.clone(), key })
    }
}

/// A server, and its key if there is one.
#[derive(Clone)]
pub(super) struct Remote {
    client: Client,
    url: Url,
    key: Option<SecretString>,
}

impl Remote {
    /// Builds a request to the path of these segments with this query, and encodes all of it. An id that a path cannot contain is
    /// refused.
    pub(super) fn request(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, RemoteError> {
        if let Some(dots) = segments.iter().find(|segment| matches!(**segment, "." | "..")) {
            return Err(RemoteError::Unspeakable((*dots).to_owned()));
        }
        let mut url = self.url.clone();
        // An http URL always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        })
    }

    /// Returns the JSON of the server's answer.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, RemoteError> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| self.unreadable(&error))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, RemoteError> {
        self.json(self.request(Method::GET, segments, &[])?).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, RemoteError> {
        self.json(self.request(Method::POST, segments, &[])?).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, RemoteError> {
        self.json(self.request(Method::DELETE, segments, &[])?).await
    }

    /// Opens a stream of this kind. Its body has no time limit.
    pub(super) async fn stream(&self, request: RequestBuilder, kind: &str) -> Result<Response, RemoteError> {
        self.send(request.header(ACCEPT, kind)).await
    }

    /// Returns a successful answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let answer = timeout(ANSWER_TIMEOUT, request.send()).await;
        let answer = answer.map_err(|_| self.cut(&std::io::ErrorKind::TimedOut.into()))?;
        let response = answer.map_err(|error| RemoteError::of_sending(&self.url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem: Option<Problem> = response.json().await.ok();
        Err(RemoteError::of_answer(&self.url, status, problem, self.key.is_some()))
    }

    /// Describes an error while the body arrived.
    pub(super) fn unreadable(&self, error: &reqwest::Error) -> RemoteError {
        if error.is_decode() {
            RemoteError::Foreign(self.url.clone())
        } else {
            RemoteError::of_sending(&self.url, error)
        }
    }

    /// Describes the unexpected end of a stream.
    pub(super) fn cut(&self, error: &std::io::Error) -> RemoteError {
        RemoteError::Cut { url: self.url.clone(), cause: error.to_string() }
    }
}

/// An answer, and its JSON as the server sent it, which may have members that this version does not know.
#[derive(Clone, Debug)]
pub(super) struct Answered<T> {
    pub(super) value: T,
    pub(super) raw: Box<RawValue>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Answered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Answered { value, raw })
    }
}

impl<T> AsRef<str> for Answered<T> {
    fn as_ref(&self) -> &str {
        self.raw.get()
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    const SHAPE: &str = "it must be like http://127.0.0.1:3456 or https://runner.example.com";
    let url: Url = text.parse().map_err(|_| SHAPE.to_owned())?;
    let is_plain = url.query().is_none() && url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain { Ok(url) } else { Err(SHAPE.to_owned()) }
}

/// Returns true for an address of this machine, which a proxy cannot reach.
fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    })
}
