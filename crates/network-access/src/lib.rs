//! Proxies and certificate authorities for requests to other servers.
//!
//! | module | contains |
//! |---|---|
//! | `proxy` | HTTP_PROXY and HTTPS_PROXY |
//! | `exceptions` | NO_PROXY |
//! | `authorities` | CA_FILE, beside the authorities of this machine |
//!
//! Invariants:
//! - Every HTTP client of the server is built by [`NetworkAccess::client`]. Clients read nothing from the environment and follow no
//!   redirects.
//! - Loopback is always reached directly.
//! - A proxy's password is never displayed.

mod authorities;
mod exceptions;
mod proxy;

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::{Client, ClientBuilder, redirect};

use authorities::Authorities;
use proxy::Proxies;

pub use authorities::AuthoritiesError;
pub use proxy::{ProxyError, Scheme, UpstreamProxy};

/// The operator's settings, with the values of the environment.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// HTTP_PROXY: the proxy of `http://` requests.
    pub http_proxy: Option<String>,
    /// HTTPS_PROXY: the proxy of `https://` requests.
    pub https_proxy: Option<String>,
    /// ALL_PROXY, which is not used. [`NetworkAccess::warnings`] says so.
    pub all_proxy: Option<String>,
    /// NO_PROXY: hosts, domains and networks that are reached directly, separated by commas or white space. A port is ignored.
    pub no_proxy: String,
    /// CA_FILE: certificates in PEM form.
    pub ca_file: Option<PathBuf>,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
}

/// The way from this process to other servers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct NetworkAccess {
    proxies: Proxies,
    authorities: Authorities,
    ignores_all_proxy: bool,
}

impl NetworkAccess {
    /// Reads CA_FILE, if it is set.
    pub fn new(settings: &NetworkSettings) -> Result<NetworkAccess, NetworkError> {
        Ok(NetworkAccess {
            proxies: Proxies::new(settings)?,
            authorities: Authorities::read(settings.ca_file.as_deref())?,
            ignores_all_proxy: is_set(settings.all_proxy.as_ref()) && !is_set(settings.https_proxy.as_ref()),
        })
    }

    /// Settings without an effect, each in a sentence without a full stop.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.ignores_all_proxy {
            warnings.push("ALL_PROXY is not used: set HTTPS_PROXY, and HTTP_PROXY for http addresses".to_owned());
        }
        for entry in self.proxies.unusable_exceptions() {
            warnings.push(format!(
                "NO_PROXY has {entry}, which matches no host: an entry is a host, a domain (corp.example, which includes its \
                 subdomains), an address or a network (10.0.0.0/8, 2001:db8::/32)"
            ));
        }
        warnings
    }

    /// Returns a builder of HTTP clients that follow no redirects.
    pub fn client(&self) -> ClientBuilder {
        let builder = self.proxies.apply(Client::builder().redirect(redirect::Policy::none()));
        self.authorities.apply(builder)
    }

    /// Returns the proxy through which a host is reached. `None`: directly.
    pub fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Option<UpstreamProxy> {
        self.proxies.proxy_for(scheme, host, port)
    }

    /// The certificates of this machine and those of CA_FILE in PEM form, for programs that take one file. `None` without CA_FILE,
    /// where such a program uses the machine's by itself.
    pub fn certificate_bundle(&self) -> Option<String> {
        self.authorities.bundle()
    }

    /// The certificates of CA_FILE, each in PEM form. Empty without CA_FILE.
    pub fn own_certificates(&self) -> Vec<String> {
        self.authorities.own()
    }

    /// CA_FILE, if it is set.
    pub fn ca_file(&self) -> Option<&Path> {
        self.authorities.path()
    }

    /// The passwords of the proxies, both as they stand in the URLs and as they are sent.
    pub fn passwords(&self) -> Vec<String> {
        self.proxies.passwords()
    }

    /// The variables by which other programs find the proxies, in both spellings. They can contain a password.
    pub fn proxy_variables(&self) -> Vec<(&'static str, String)> {
        self.proxies.variables()
    }

    /// Returns true if nothing is set.
    pub fn is_direct(&self) -> bool {
        self.proxies.are_none() && self.authorities.path().is_none()
    }
}

fn is_set(setting: Option<&String>) -> bool {
    setting.is_some_and(|value| !value.trim().is_empty())
}

/// A sentence for people, without passwords.
impl fmt::Display for NetworkAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.proxies)?;
        match self.authorities.path() {
            Some(path) => write!(f, "; CA_FILE {} is trusted", path.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
