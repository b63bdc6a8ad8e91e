use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fs, io};

use thiserror::Error;

use crate::address::{self, Address};
use crate::disk::DiskLimit;

const DEFAULT_LINK: &str = "unix:/run/link";
const DEFAULT_TOKEN_FILE: &str = "/home/agent/.link-token";
const DEFAULT_GATEWAY_PORT: u16 = 8787;
const DEFAULT_ORPHAN_TTL_MS: u64 = 60_000;

/// The upper bound of the orphan TTL. It keeps sums of instants and durations from overflowing.
pub(crate) const LONGEST_ORPHAN_TTL: Duration = Duration::from_hours(24 * 365);

/// The settings in the container's environment. None of them is secret, because the environment is visible from
/// outside; the token comes in a file.
pub(crate) struct Settings {
    /// `LINK`: `unix:DIRECTORY` or `tcp://HOST:PORT`. HOST is an IP address or a name in /etc/hosts.
    pub(crate) address: Address,
    /// `GATEWAY_PORT`: the port on 127.0.0.1 that is forwarded to the gateway.
    pub(crate) gateway_port: u16,
    /// `ORPHAN_TTL_MS`: the time to look for a coordinator before the first Welcome, which replaces the value.
    pub(crate) orphan_ttl: Duration,
    /// `DISK_LIMIT_BYTES` and `DISK_PATHS` (separated by colons): the limit of the files in these paths. `None` unless
    /// both are set.
    pub(crate) disk: Option<DiskLimit>,
}

#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    #[error("LINK is {0:?}; it must be unix:DIRECTORY or tcp://HOST:PORT")]
    Link(String),
    #[error("LINK contains {0:?}, which is neither an address with a port nor in /etc/hosts")]
    Host(String),
    #[error("could not read and delete the link's token in {}", .path.display())]
    Token { path: PathBuf, source: io::Error },
    #[error("the link's token in {} is empty or contains white space", .0.display())]
    TokenText(PathBuf),
    #[error("{name} is {value:?}; it must be a whole number")]
    Number { name: &'static str, value: String },
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, SettingsError> {
        let link = env::var("LINK").unwrap_or_else(|_| DEFAULT_LINK.to_owned());
        let address = if let Some(directory) = link.strip_prefix("unix:") {
            Address::Directory(directory.into())
        } else if let Some(host) = link.strip_prefix("tcp://") {
            let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
            let host = address::resolve(host, &hosts).ok_or_else(|| SettingsError::Host(host.to_owned()))?;
            Address::Tcp { host, token: take_token()? }
        } else {
            return Err(SettingsError::Link(link));
        };
        let orphan_ttl = Duration::from_millis(number("ORPHAN_TTL_MS", DEFAULT_ORPHAN_TTL_MS)?).min(LONGEST_ORPHAN_TTL);
        let disk = env::var("DISK_PATHS").ok().filter(|_| env::var_os("DISK_LIMIT_BYTES").is_some());
        let disk = match disk {
            Some(paths) => Some(DiskLimit {
                bytes: number("DISK_LIMIT_BYTES", u64::MAX)?,
                paths: paths.split(':').map(PathBuf::from).collect(),
            }),
            None => None,
        };
        Ok(Self { address, gateway_port: number("GATEWAY_PORT", DEFAULT_GATEWAY_PORT)?, orphan_ttl, disk })
    }
}

/// Reads the token and deletes its file, so that no program that starts later finds it.
fn take_token() -> Result<String, SettingsError> {
    let path: PathBuf = env::var_os("LINK_TOKEN_FILE").map_or_else(|| DEFAULT_TOKEN_FILE.into(), PathBuf::from);
    let read = fs::read_to_string(&path).and_then(|token| fs::remove_file(&path).map(|()| token));
    let token = read.map_err(|source| SettingsError::Token { path: path.clone(), source })?;
    let token = token.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(SettingsError::TokenText(path));
    }
    Ok(token.to_owned())
}

fn number<T: FromStr>(name: &'static str, default: T) -> Result<T, SettingsError> {
    match env::var(name) {
        Ok(value) => value.parse().map_err(|_| SettingsError::Number { name, value }),
        Err(_) => Ok(default),
    }
}
