//! The client of the model API.

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use network_access::NetworkAccess;
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::GatewayError;
use super::answer::in_words;
use super::model_proxy::{ModelProxy, refusal_of_unknown};
use super::settings::Bounds;

pub(super) struct Upstream {
    client: Client,
    base: Url,
    proxy: Option<ModelProxy>,
}

/// The reason why a request did not reach the model API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreached {
    pub(super) why: String,
    /// The next try has the same result.
    pub(super) is_lasting: bool,
}

impl Upstream {
    /// The maximum size of an error's body. The rest is dropped.
    const MAX_ERROR_BYTES: usize = 64 << 10;

    pub(super) fn new(mut base: Url, bounds: &Bounds, network: &NetworkAccess) -> Result<Upstream, GatewayError> {
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(GatewayError::Upstream("with a host"));
        }
        // They would go out as a second credential.
        if !base.username().is_empty() || base.password().is_some() {
            return Err(GatewayError::Upstream(
                "without a user name and a password: the credential is ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN",
            ));
        }
        // Each request has a query of its own.
        if base.query().is_some() || base.fragment().is_some() {
            return Err(GatewayError::Upstream("without `?` and `#`, which no request would have"));
        }
        // Some gateways state their address with the version or with the whole path, which are part of each path here.
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/messages").filter(|path| path.ends_with("/v1")).unwrap_or(path);
        let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        base.set_path(&path);
        // No total timeout: an answer may stream for many minutes. Nothing is decompressed, no such feature is built in.
        let client = network.client().connect_timeout(bounds.connect_timeout).build().map_err(GatewayError::Client)?;
        let proxy = ModelProxy::new(&base, network);
        Ok(Upstream { client, base, proxy })
    }

    /// Describes a request that the API did not process: its connection could not be made, or was given up before.
    pub(super) async fn unreached(&self, error: &reqwest::Error) -> Unreached {
        if error.is_connect()
            && let Some(proxy) = &self.proxy
            && let Some(unreached) = proxy.unreached(error).await
        {
            return unreached;
        }
        Unreached { why: in_words(error), is_lasting: false }
    }

    /// Returns the refusal of a proxy that answered in place of the API.
    pub(super) fn refusal_of_proxy(&self, status: StatusCode, headers: &HeaderMap) -> Option<Unreached> {
        match &self.proxy {
            Some(proxy) => proxy.refusal(status, headers),
            None => refusal_of_unknown(status),
        }
    }

    /// Asks for the root without a credential, which costs nothing. The error is a sentence.
    pub(super) async fn reach(&self) -> Result<(), String> {
        let answer = match self.client.head(self.base.clone()).send().await.map_err(reqwest::Error::without_url) {
            Ok(answer) => answer,
            Err(error) => return Err(self.unreached(&error).await.why),
        };
        self.refusal_of_proxy(answer.status(), answer.headers()).map_or(Ok(()), |refusal| Err(refusal.why))
    }

    /// Sends a request and returns when the answer's headers have arrived. Dropping the future cancels the request.
    pub(super) async fn post(
        &self,
        path: &str,
        query: Option<&str>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, reqwest::Error> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        let sent = self.client.request(Method::POST, url).headers(headers).body(body).send().await;
        sent.map_err(reqwest::Error::without_url)
    }

    /// Returns the part of an error's body that arrived before the deadline.
    pub(super) async fn error_body(response: Response, deadline: Instant) -> Bytes {
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Ok(Some(Ok(piece))) = timeout_at(deadline, pieces.next()).await {
            body.extend_from_slice(&piece);
            if body.len() >= Self::MAX_ERROR_BYTES {
                body.truncate(Self::MAX_ERROR_BYTES);
                break;
            }
        }
        body.into()
    }
}
