//! The proxy and the certificate authorities of this network. Their variables are the usual ones of other programs.

use std::path::PathBuf;

use clap::Args;
use network_access::{NetworkAccess, NetworkError, NetworkSettings};

#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Proxy for https: the model API, the forge, webhooks, hosts that sandboxes may reach, image builds. http://host:port or
    /// http://user:password@host:port. The variable may also be in lower case
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    pub https_proxy: Option<String>,

    /// Proxy for http
    #[arg(long, env = "HTTP_PROXY", hide_env_values = true)]
    pub http_proxy: Option<String>,

    /// Hosts, domains and networks that are reached without a proxy, on every port, comma-separated; `*` means all.
    /// Loopback addresses are always reached directly
    #[arg(long, env = "NO_PROXY")]
    pub no_proxy: Option<String>,

    /// PEM file of certificate authorities that are trusted beside those of this machine
    #[arg(long, env = "CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Reads a variable of the environment, which only the binary knows. `None` if it is not set or empty.
pub type Environment = fn(&str) -> Option<String>;

impl NetworkOptions {
    /// Reads CA_FILE. The lower-case variables count where the others are not set.
    pub fn access(&self, environment: Environment) -> Result<NetworkAccess, NetworkError> {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        NetworkAccess::new(&NetworkSettings {
            http_proxy: given(&self.http_proxy).or_else(|| environment("http_proxy")),
            https_proxy: given(&self.https_proxy).or_else(|| environment("https_proxy")),
            all_proxy: environment("ALL_PROXY").or_else(|| environment("all_proxy")),
            no_proxy: given(&self.no_proxy).or_else(|| environment("no_proxy")).unwrap_or_default(),
            ca_file: self.ca_file.clone(),
        })
    }
}
