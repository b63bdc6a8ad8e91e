//! Proxies: HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::Url;

use super::{NetworkSettings, exceptions};

/// A proxy that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("{setting}: a proxy is given as http://host:port or http://user:password@host:port")]
    Malformed { setting: &'static str },
    #[error(
        "{setting}: a proxy is given as http://host:port or http://user:password@host:port; write special characters of the \
         password percent-encoded: # as %23, @ as %40, / as %2F, \\ as %5C"
    )]
    Password { setting: &'static str },
    #[error("{setting}: {scheme}:// proxies are not supported; use http://")]
    Scheme { setting: &'static str, scheme: String },
}

/// The form of a request to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// A proxy between this process and a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamProxy {
    pub host: String,
    pub port: u16,
    /// The value of `Proxy-Authorization`, if the proxy has a user name.
    pub authorization: Option<HeaderValue>,
}

/// The proxies, by scheme. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Proxies(Option<Arc<Known>>);

struct Known {
    http: Option<Url>,
    https: Option<Url>,
    /// NO_PROXY as the operator wrote it, in one line.
    except: String,
    matcher: Matcher,
}

impl Proxies {
    pub(super) fn new(settings: &NetworkSettings) -> Result<Proxies, ProxyError> {
        let http = read("HTTP_PROXY", settings.http_proxy.as_deref())?;
        let https = read("HTTPS_PROXY", settings.https_proxy.as_deref())?;
        let except = settings.no_proxy.split_whitespace().collect::<Vec<_>>().join(" ");
        if exceptions::are_all(&except) || http.is_none() && https.is_none() {
            return Ok(Proxies(None));
        }
        let text = |proxy: &Option<Url>| proxy.as_ref().map(Url::to_string).unwrap_or_default();
        let matcher =
            Matcher::builder().http(text(&http)).https(text(&https)).no(exceptions::for_library(&except)).build();
        Ok(Proxies(Some(Arc::new(Known { http, https, except, matcher }))))
    }

    pub(super) fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// The entries of NO_PROXY that match no request. Without a proxy none is reported, because none is used.
    pub(super) fn unusable_exceptions(&self) -> Vec<&str> {
        self.0.as_ref().map(|known| exceptions::unusable(&known.except).collect()).unwrap_or_default()
    }

    pub(super) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        // Without this, the client would read the environment.
        let mut builder = builder.no_proxy();
        let Some(known) = &self.0 else { return builder };
        let proxies = [
            known.http.as_ref().map(|url| Proxy::http(url.as_str())),
            known.https.as_ref().map(|url| Proxy::https(url.as_str())),
        ];
        // A URL that was read as one is never refused.
        for proxy in proxies.into_iter().flatten().flatten() {
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&exceptions::for_library(&known.except))));
        }
        builder
    }

    pub(super) fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Option<UpstreamProxy> {
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let target = Uri::try_from(format!("{scheme}://{host}:{port}/")).ok()?;
        let found = self.0.as_ref()?.matcher.intercept(&target)?;
        Some(UpstreamProxy {
            host: found.uri().host()?.trim_matches(['[', ']']).to_owned(),
            port: found.uri().port_u16().unwrap_or(80),
            authorization: found.basic_auth().cloned(),
        })
    }

    pub(super) fn passwords(&self) -> Vec<String> {
        let Some(known) = &self.0 else { return Vec::new() };
        let written = [&known.http, &known.https].into_iter().flatten().filter_map(Url::password);
        let sent = |password: &str| percent_decode_str(password).decode_utf8_lossy().into_owned();
        written.flat_map(|password| [password.to_owned(), sent(password)]).collect()
    }

    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let Some(known) = &self.0 else { return Vec::new() };
        let mut variables = Vec::new();
        for (url, names) in
            [(&known.http, ["HTTP_PROXY", "http_proxy"]), (&known.https, ["HTTPS_PROXY", "https_proxy"])]
        {
            variables.extend(url.iter().flat_map(|url| names.map(|name| (name, url.to_string()))));
        }
        variables.extend(["NO_PROXY", "no_proxy"].map(|name| (name, exceptions::for_library(&known.except))));
        variables
    }
}

/// A sentence for people.
impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(known) = &self.0 else { return write!(f, "no proxy") };
        match (&known.http, &known.https) {
            (Some(http), Some(https)) if http == https => write!(f, "proxy {}", shown(https))?,
            (http, https) => {
                let named = [("http", http), ("https", https)];
                let named =
                    named.iter().filter_map(|(scheme, url)| Some(format!("{} for {scheme}", shown(url.as_ref()?))));
                write!(f, "proxy {}", named.collect::<Vec<_>>().join(", "))?;
            }
        }
        if known.except.is_empty() { Ok(()) } else { write!(f, ", not for {}", known.except) }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxies({self})")
    }
}

fn read(setting: &'static str, value: Option<&str>) -> Result<Option<Url>, ProxyError> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    // curl and others take a proxy without a scheme.
    let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    // A `#` in a password would be read as the end of the address.
    let malformed =
        || if value.contains('@') { ProxyError::Password { setting } } else { ProxyError::Malformed { setting } };
    let url: Url = text.parse().map_err(|_| malformed())?;
    if url.scheme() != "http" {
        return Err(ProxyError::Scheme { setting, scheme: url.scheme().to_owned() });
    }
    let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if url.host_str().is_none_or(str::is_empty) || has_more {
        return Err(malformed());
    }
    Ok(Some(url))
}

/// The address without a user name and a password.
fn shown(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(80);
    format!("http://{}:{port}", url.host_str().unwrap_or_default())
}
