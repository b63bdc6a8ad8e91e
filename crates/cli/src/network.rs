//! The proxy and the certificate authorities of this network. Their variables are the usual ones of other programs.

use std::path::PathBuf;

use clap::Args;
use network_access::{NetworkAccess, NetworkError, NetworkSettings};

#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Proxy for https: the model API, the forge, webhooks, hosts that sandboxes may reach. http://host:port or
    /// http://user:password@host:port. The variable may also be in lower case
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    pub https_proxy: Option<String>,

    /// Proxy for http
    #[arg(long, env = "HTTP_PROXY", hide_env_values = true)]
    pub http_proxy: Option<String>,

    /// Hosts, domains and networks that are reached without a proxy, comma-separated; `*` means all. Loopback always is
    #[arg(long, env = "NO_PROXY", default_value = "")]
    pub no_proxy: String,

    /// PEM file of certificate authorities that are trusted beside those of this machine
    #[arg(long, env = "CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

impl NetworkOptions {
    pub fn access(&self) -> Result<NetworkAccess, NetworkError> {
        NetworkAccess::new(&NetworkSettings {
            http_proxy: self.http_proxy.clone().filter(|proxy| !proxy.is_empty()).or_else(|| text("http_proxy")),
            https_proxy: self.https_proxy.clone().filter(|proxy| !proxy.is_empty()).or_else(|| text("https_proxy")),
            no_proxy: if self.no_proxy.is_empty() {
                text("no_proxy").unwrap_or_default()
            } else {
                self.no_proxy.clone()
            },
            ca_file: self.ca_file.clone(),
        })
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
