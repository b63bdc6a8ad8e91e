//! The proxy between this server and the model API. The proxy's answers are not the API's.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use network_access::{NetworkAccess, Scheme, UpstreamProxy};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{in_words, shortened};
use super::upstream::Unreached;

/// The time in which a proxy has to repeat its refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) struct ModelProxy {
    proxy: UpstreamProxy,
    /// `HOST:PORT` of the model API.
    target: String,
    scheme: Scheme,
}

impl ModelProxy {
    /// `None`: the model API is reached directly.
    pub(super) fn new(base: &Url, network: &NetworkAccess) -> Option<ModelProxy> {
        let scheme = if base.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let (host, port) = (base.host_str()?, base.port_or_known_default()?);
        let proxy = network.proxy_for(scheme, host, port)?;
        Some(ModelProxy { proxy, target: format!("{host}:{port}"), scheme })
    }

    /// Describes a connection that failed with `error`. `None`: the proxy opens a tunnel, so the failure is behind it.
    pub(super) async fn unreached(&self, error: &reqwest::Error) -> Option<Unreached> {
        let why = match self.scheme {
            // The connection to the proxy is the only one.
            Scheme::Http => in_words(error),
            // It is as slow when it is asked again.
            Scheme::Https if error.is_timeout() => in_words(error),
            // The client reports a refusal without its status, so the proxy is asked again.
            Scheme::Https => match timeout(REFUSAL_TIMEOUT, self.ask_for_tunnel()).await {
                Ok(Ok(status)) if status.is_success() => return None,
                Ok(Ok(status)) => return Some(self.refused(status)),
                Ok(Err(error)) => in_words(&error),
                Err(_) => in_words(error),
            },
        };
        let UpstreamProxy { host, port, .. } = &self.proxy;
        Some(Unreached { why: format!("the proxy {host}:{port} could not be used: {why}"), is_lasting: false })
    }

    /// Returns the refusal in an answer to a request by plain http. `None`: the answer is the API's. A tunnel has only answers of the
    /// API.
    pub(super) fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> Option<Unreached> {
        match self.scheme {
            Scheme::Http if is_of_proxy(status, headers) => Some(self.refused(status)),
            Scheme::Http | Scheme::Https => refusal_of_unknown(status),
        }
    }

    async fn ask_for_tunnel(&self) -> io::Result<StatusCode> {
        let stream = TcpStream::connect((self.proxy.host.as_str(), self.proxy.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let mut request = Request::builder().method(Method::CONNECT).uri(&self.target).header(HOST, &self.target);
        if let Some(authorization) = &self.proxy.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let answer = sender.send_request(request);
        // The connection works for as long as it is polled, and is closed when both are dropped.
        tokio::pin!(answer, connection);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        };
        answer.map(|answer| answer.status()).map_err(io::Error::other)
    }

    fn refused(&self, status: StatusCode) -> Unreached {
        let setting = match self.scheme {
            Scheme::Http => "HTTP_PROXY",
            Scheme::Https => "HTTPS_PROXY",
        };
        // A proxy that reaches nothing now may reach it later.
        Unreached { why: refusal(&self.proxy, status, setting), is_lasting: status.is_client_error() }
    }
}

/// Returns the refusal of a proxy that no setting names: only proxies answer 407.
pub(super) fn refusal_of_unknown(status: StatusCode) -> Option<Unreached> {
    let why = "a proxy that no setting names answered 407 Proxy Authentication Required; HTTPS_PROXY and HTTP_PROXY name a \
               proxy, its user and its password";
    (status == StatusCode::PROXY_AUTHENTICATION_REQUIRED).then(|| Unreached { why: why.to_owned(), is_lasting: true })
}

/// Describes the status by which a proxy refuses a connection or a request. `setting` names the proxy.
pub(super) fn refusal(proxy: &UpstreamProxy, status: StatusCode, setting: &str) -> String {
    let UpstreamProxy { host, port, authorization } = proxy;
    let remedy = match (status, authorization) {
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, None) => {
            format!("; it requires a user name and a password: {setting}=http://user:password@host:port")
        }
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(_)) => {
            format!("; it does not accept the user name and the password in {setting}")
        }
        _ => String::new(),
    };
    format!("the proxy {host}:{port} answered {}{remedy}", shortened(&status.to_string()))
}

/// Returns true for an answer that a proxy gives when it does not let a request through. The errors of the API, and of gateways in front
/// of it, are JSON.
fn is_of_proxy(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => true,
        StatusCode::FORBIDDEN
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => !is_json,
        _ => false,
    }
}
