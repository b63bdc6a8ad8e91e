//! Proxies and certificate authorities for requests to other servers.
//!
//! | module | contains |
//! |---|---|
//! | `proxy` | HTTP_PROXY, HTTPS_PROXY and NO_PROXY |
//! | `authorities` | CA_FILE, beside the authorities of this machine |
//!
//! Invariants:
//! - Every HTTP client of the server is built by [`NetworkAccess::client`]. Clients read nothing from the environment and follow no
//!   redirects.
//! - Loopback is always reached directly.
//! - A proxy's password is never displayed.

mod authorities;
mod proxy;

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::{Client, ClientBuilder, redirect};

use authorities::Authorities;
use proxy::Proxies;

pub use authorities::AuthoritiesError;
pub use proxy::{ProxyError, Scheme, UpstreamProxy};

/// The operator's settings, as they stand in the environment.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// HTTP_PROXY: the proxy of `http://` requests.
    pub http_proxy: Option<String>,
    /// HTTPS_PROXY: the proxy of `https://` requests.
    pub https_proxy: Option<String>,
    /// NO_PROXY: hosts, domains and networks that are reached directly, comma-separated.
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
}

impl NetworkAccess {
    /// Reads CA_FILE, if it is set.
    pub fn new(settings: &NetworkSettings) -> Result<NetworkAccess, NetworkError> {
        Ok(NetworkAccess {
            proxies: Proxies::new(settings)?,
            authorities: Authorities::read(settings.ca_file.as_deref())?,
        })
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
